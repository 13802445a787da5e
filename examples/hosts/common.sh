# Read by the scripts beside it (POSIX sh). They are started often and in haste: nothing here starts a program needlessly.

VIP= CLIENT=mariadb CLIENT_OPTIONS= PAIR=standby READ_ONLY=yes CHANNEL= APPLY_SECONDS=10 TAKEOVER_LOG= LOG=
CHECK_TABLE= DATADIR= MIN_FREE_MB=0 MAX_CONNECTIONS=0

# One line to stderr, which keepalived throws away, and to where somebody reads it.
say() {
  # Splits into words, and so joins lines.
  set -f
  set -- $1
  set +f
  set -- "$*"
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  if [ -n "$LOG" ]; then
    printf '%s %s: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${0##*/}" "$1" >>"$LOG"
  else
    logger -t mxr "${0##*/}: $1" 2>/dev/null
  fi
}

# Takes what concerns the scripts out of site.conf. The values are read, never run; what is wrong is in $problem.
read_site() {
  problem=
  if [ ! -r "$1" ]; then
    problem="$1 cannot be read"
    return 1
  fi
  while IFS='=' read -r name value || [ -n "$name" ]; do
    case $name in
    '$VIP') text && VIP=$value ;;
    '$CLIENT') text && CLIENT=$value ;;
    '$CLIENT_OPTIONS') text && CLIENT_OPTIONS=$value ;;
    '$PAIR') one_of standby dual && PAIR=$value ;;
    '$READ_ONLY') one_of yes no && READ_ONLY=$value ;;
    '$CHANNEL') text && CHANNEL=$value ;;
    '$APPLY_SECONDS') number && APPLY_SECONDS=$value ;;
    '$TAKEOVER_LOG') text && TAKEOVER_LOG=$value ;;
    '$LOG') text && LOG=$value ;;
    '$CHECK_TABLE') text && CHECK_TABLE=$value ;;
    '$DATADIR') text && DATADIR=$value ;;
    '$MIN_FREE_MB') number && MIN_FREE_MB=$value ;;
    '$MAX_CONNECTIONS') number && MAX_CONNECTIONS=$value ;;
    esac
  done <"$1"
  if [ -z "$problem" ] && [ ! -r "$CLIENT_OPTIONS" ]; then problem="CLIENT_OPTIONS: $CLIENT_OPTIONS cannot be read"; fi
  [ -z "$problem" ]
}

text() {
  case $value in
  *[!A-Za-z0-9_./:@%+-]*) wrong 'has a character other than letters, digits and _ . / : @ % + -' ;;
  esac
}

number() {
  case $value in
  '' | *[!0-9]* | ??????????*) wrong 'is not a whole number' ;;
  esac
}

one_of() {
  [ "$value" = "$1" ] || [ "$value" = "$2" ] || wrong "is neither $1 nor $2"
}

wrong() {
  problem="site.conf: ${name#?} $1: '$value'"
  return 1
}

# Runs the statements of its input in one session, with // between them. $1: seconds until it is ended, whatever it does.
# Nothing but the option file says who it is: arguments are seen by everybody on the host.
session() {
  timeout -k 1 "$1" "$CLIENT" --defaults-file="$CLIENT_OPTIONS" --connect-timeout=1 --batch --unbuffered --delimiter=//
}

# Whether this host has the VIP now; 2: that cannot be found out.
holds_vip() {
  case $VIP in
  '') return 2 ;;
  *:*)
    found=$(ip -6 -o address show to "$VIP" 2>/dev/null) || return 2
    [ -n "$found" ]
    return
    ;;
  esac
  [ -r /proc/net/fib_trie ] || return 2
  address=
  while read -r mark word rest; do
    case $mark in
    '|--') address=$word ;;
    /32) if [ "$address $word $rest" = "$VIP host LOCAL" ]; then return 0; fi ;;
    esac
  done </proc/net/fib_trie
  return 1
}
