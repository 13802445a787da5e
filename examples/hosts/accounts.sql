-- The account of check-database.sh, promote.sh and demote.sh. Run it on the primary: the standby receives it.
-- It is known by the user on the host (unix_socket), so nobody has to keep a password for it.
CREATE USER 'keepalived_script'@'localhost' IDENTIFIED VIA unix_socket;
-- PROCESS: whether something is still being applied. SLAVE MONITOR, BINLOG MONITOR: the coordinates of a takeover.
-- REPLICATION SLAVE ADMIN: STOP SLAVE. READ_ONLY ADMIN: read_only. CONNECTION ADMIN: to be let in when all is taken.
GRANT PROCESS, SLAVE MONITOR, BINLOG MONITOR, REPLICATION SLAVE ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN
  ON *.* TO 'keepalived_script'@'localhost';
-- With CHECK_TABLE in site.conf it needs this too:
-- GRANT SELECT ON app.orders TO 'keepalived_script'@'localhost';
