#!/bin/sh
# keepalived's vrrp_script: can THIS database serve, now or after a promotion? 0: yes. 1: no, and stderr says why.
#   check-database.sh [site.conf]
#
# No:  it does not answer a query in time (dead, frozen, shutting down, its disk hangs); InnoDB is read-only or in forced
#      recovery; the table CHECK_TABLE is gone; the file system of the data is full (queries still work there, commits
#      wait for ever); more connections than MAX_CONNECTIONS.
# Yes, on purpose:
# - It is read-only, or follows nobody, or lags. That is how a standby looks, and a promotion cures it; a check that
#   minds would take the only standby away just when the primary dies.
# - Error 1040, too many connections, while MAX_CONNECTIONS is 0: it serves all those who are in. Moving the VIP ends
#   them, and they come back to the other server and fill that. The account of accounts.sql gets in all the same.
# - The check itself is broken: password refused (1045), grant missing, site.conf or the client not there. Both hosts
#   have the same accounts, so both would give the VIP up for a changed password. It says so, every second, until cured.
#   The price: a server that lost its account table passes too; where that matters, use CHECK_TABLE and unix_socket.
set -u
. "${0%/*}/common.sh"

serves() { exit 0; }
cannot() {
  say "cannot serve: $1"
  exit 1
}
broken() {
  say "the check is broken and says nothing about the database: $1"
  exit 0
}

read_site "${1:-/etc/keepalived/site.conf}" || broken "$problem"
table= connected=0
if [ -n "$CHECK_TABLE" ]; then
  # One that somebody works on (LOCK TABLES, ALTER) is there: do not wait for it.
  table="SET STATEMENT lock_wait_timeout = 0 FOR SELECT 1 FROM \`${CHECK_TABLE%%.*}\`.\`${CHECK_TABLE#*.}\` LIMIT 1 //"
fi
if [ "$MAX_CONNECTIONS" -gt 0 ]; then
  connected="(SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'THREADS_CONNECTED')"
fi
answer=$(
  session 2 2>&1 <<SQL
$table
SELECT CONCAT('mxr-check: ', CASE
  WHEN @@innodb_read_only THEN 'InnoDB is read-only'
  WHEN @@innodb_force_recovery > 0 THEN CONCAT('innodb_force_recovery is ', @@innodb_force_recovery)
  WHEN $connected > $MAX_CONNECTIONS THEN 'more connections than MAX_CONNECTIONS ($MAX_CONNECTIONS)'
  ELSE 'serves' END) AS verdict //
SQL
)
status=$?
case $status in
0)
  verdict=${answer##*mxr-check: }
  [ "$verdict" = serves ] || cannot "$verdict"
  ;;
124 | 137) cannot 'no answer within 2 s' ;;
126 | 127) broken "the client $CLIENT cannot be run" ;;
*)
  code=${answer##*ERROR }
  case ${code%% *} in
  1205) ;; # somebody works on CHECK_TABLE
  1040)
    [ "$MAX_CONNECTIONS" -eq 0 ] || cannot "$answer"
    say "serves those who are in: $answer"
    ;;
  # Refused: by password, host, grant, plugin, or a limit of this account alone.
  1044 | 1045 | 1129 | 1130 | 1142 | 1143 | 1203 | 1226 | 1227 | 1524 | 1698 | 1820 | 1862 | 2059 | 2061) broken "$answer" ;;
  # In its text it says whether nobody listens, or this user may not ask (13, EACCES).
  2002) case $answer in *'(13'*) broken "$answer" ;; *) cannot "$answer" ;; esac ;;
  [12][0-9][0-9][0-9]) cannot "$answer" ;;
  # The client complains about itself, its arguments or its option file.
  *) broken "$answer" ;;
  esac
  ;;
esac

# No account may find out by SQL how much room is left, and none should have to write once a second.
if [ -n "$DATADIR" ] && [ "$MIN_FREE_MB" -gt 0 ]; then
  space=$(timeout -k 1 1 df -Pk "$DATADIR" 2>&1)
  case $? in
  0) ;;
  124 | 137) cannot "the file system of $DATADIR does not answer within 1 s" ;;
  *) broken "DATADIR: $space" ;;
  esac
  # The last line, from its end: capacity and mount point come behind what is free.
  free=${space%\%*}
  free=${free% *}
  while [ "$free" != "${free% }" ]; do free=${free% }; done
  free=${free##* }
  case $free in '' | *[!0-9]*) broken "DATADIR: df says $space" ;; esac
  [ "$free" -ge $((MIN_FREE_MB * 1024)) ] || cannot "only $free KiB are free on the file system of $DATADIR"
fi
serves
