#!/bin/sh
# keepalived's notify_backup, notify_fault and notify_stop: close the database for writes.
#   demote.sh [site.conf]
# Accounts with READ_ONLY ADMIN (before 10.11: SUPER) write on all the same: the application must have neither.
set -u
. "${0%/*}/common.sh"
site=${1:-/etc/keepalived/site.conf}
if ! read_site "$site"; then
  say "not closed: $problem"
  exit 1
fi
if [ "$READ_ONLY" = no ]; then exit 0; fi

close() {
  complaint=$(session 10 2>&1 <<SQL
SET GLOBAL read_only = 1 //
SQL
  ) && return
  # A server that is down starts closed (read_only in its configuration); one that hangs is closed when it is back,
  # because keepalived then calls this again.
  say "not closed: $complaint"
  return 1
}

# See promote.sh. A promotion that is under way is not waited for with the server open.
exec 9<"$site"
if ! flock -n 9; then
  close
  flock -w $((APPLY_SECONDS + 80)) 9
fi
if holds_vip; then
  say 'not closed: this host has the VIP again'
  exit 0
fi
close
