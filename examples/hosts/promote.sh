#!/bin/sh
# keepalived's notify_master: apply what was received, stop following, note the coordinates, open for writes.
#   promote.sh [site.conf]
# All in one session: each client that is started costs the pair some 20 ms in which nobody can write to it.
set -u
. "${0%/*}/common.sh"
site=${1:-/etc/keepalived/site.conf}
if ! read_site "$site"; then
  say "not promoted: $problem"
  exit 1
fi

# keepalived starts notify scripts without waiting for the one before, so the last one to run is not the last one that
# was called. One at a time, and each does what fits the VIP now: then the order does not matter.
exec 9<"$site"
flock -w 60 9 || say 'another script has not ended for 60 s: going on beside it'
holds_vip
if [ $? -eq 1 ]; then
  say 'not promoted: the VIP has gone again'
  exit 0
fi

if [ -n "$TAKEOVER_LOG" ] && ! true 2>/dev/null >>"$TAKEOVER_LOG"; then
  say "TAKEOVER_LOG: $TAKEOVER_LOG cannot be written: going on without it"
  TAKEOVER_LOG=
fi

# Only the applier is stopped before the server opens: from MariaDB 11.4 on, STOP SLAVE waits, up to a minute, while the
# receiver is dialling a dead primary. Never RESET SLAVE ALL: how far this server had applied the old primary
# (Relay_Master_Log_File, Exec_Master_Log_Pos) is what everybody who has to follow on from here needs, and it forgets.
stop_applying= stop_following=
if [ "$PAIR" = standby ]; then
  stop_applying='STOP SLAVE SQL_THREAD //'
  stop_following='STOP SLAVE //'
fi

complaint=$(
  session $((APPLY_SECONDS + 70)) 2>&1 >>"${TAKEOVER_LOG:-/dev/null}" <<SQL
SET SESSION default_master_connection = '$CHANNEL' //
BEGIN NOT ATOMIC
  DECLARE tries INT DEFAULT $APPLY_SECONDS * 20;
  WHILE tries > 0 AND EXISTS (SELECT 1 FROM information_schema.PROCESSLIST
      WHERE COMMAND = 'Slave_SQL' AND STATE NOT LIKE '%has read all relay log%'
      OR COMMAND = 'Slave_worker' AND STATE NOT LIKE 'Waiting for work%') DO
    DO SLEEP(0.05);
    SET tries = tries - 1;
  END WHILE;
  SELECT UTC_TIMESTAMP(3) AS at, @@hostname AS host,
    IF(tries > 0, 'has applied what it received', 'HAS NOT APPLIED ALL THAT IT RECEIVED') AS promotion;
END //
SHOW SLAVE STATUS \G
$stop_applying
SELECT @@gtid_current_pos //
SHOW MASTER STATUS //
SET GLOBAL read_only = 0 //
$stop_following
SQL
)
status=$?
if [ $status -ne 0 ]; then
  say "not promoted, or not to its end (status $status): $complaint"
  exit 1
fi
say 'promoted: open for writes'
