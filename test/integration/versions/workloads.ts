import type { VersionName } from './servers.ts';

/** What encodes rows and statements in ways of its own. */
export const MORE = `USE shop; CREATE TABLE types (id INT PRIMARY KEY, b BIT(9), e ENUM('x','y'), s SET('p','q'), d DECIMAL(20,5),
    f DOUBLE, dt DATETIME(3), ti TIME(2), y YEAR, bl BLOB, j JSON, u CHAR(5) CHARACTER SET utf8mb4, g GEOMETRY, n INT);
  INSERT INTO types VALUES (1, b'101', 'x', 'p,q', -12345.678, 1e300, '2026-01-02 03:04:05.678', '-10:11:12.13', 2026,
    REPEAT('z', 3000), '{"a": [1, 2]}', 'é', ST_GeomFromText('POINT(1 2)'), NULL), (2, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, 7);
  UPDATE types SET n = n + 1, bl = UUID(); DELETE FROM types WHERE id = 2;
  CREATE TABLE versioned (a INT) WITH SYSTEM VERSIONING; INSERT INTO versioned VALUES (1); UPDATE versioned SET a = 2;
  CREATE TRIGGER tr AFTER INSERT ON versioned FOR EACH ROW INSERT INTO t (v) VALUES (NEW.a); INSERT INTO versioned VALUES (3);
  CREATE OR REPLACE TABLE versioned (a INT, c TEXT DEFAULT 'é'); RENAME TABLE versioned TO renamed; SET NAMES latin1;
  INSERT INTO renamed (a) VALUES (LAST_INSERT_ID()); SET sql_mode='ANSI_QUOTES'; INSERT INTO renamed VALUES (1, 'x"y');
  SET foreign_key_checks=0, time_zone='+03:00', timestamp=1800000000.5; INSERT INTO renamed VALUES (4, NOW(3));
  CREATE EVENT ev ON SCHEDULE EVERY 1 YEAR DO SELECT 1; CREATE DEFINER=CURRENT_USER FUNCTION fn() RETURNS INT DETERMINISTIC RETURN 1;
  DROP VIEW w; DROP DATABASE IF EXISTS none; CREATE USER joe IDENTIFIED BY 'top-secret'; DROP USER joe; DROP TABLE renamed`;
const NEW_TYPES = `USE shop; CREATE TABLE newer (i INET4, u UUID, n INET6); INSERT INTO newer VALUES ('10.0.0.1', UUID(), '::1');
  SET binlog_alter_two_phase=1; ALTER TABLE newer ADD COLUMN x INT DEFAULT 3, ALGORITHM=COPY; UPDATE newer SET x=4;
  SET binlog_alter_two_phase=0`;
const NEWEST = `${NEW_TYPES}; CREATE TABLE vec (id INT PRIMARY KEY, v VECTOR(2) NOT NULL, VECTOR INDEX (v));
  INSERT INTO vec VALUES (1, VEC_FromText('[0.1,0.2]')); DELETE FROM vec;
  CREATE TABLE far (t TIMESTAMP(6) NOT NULL); INSERT INTO far VALUES ('2100-01-01 00:00:00')`;
export const ONLY_THERE: Readonly<Record<VersionName, string>> = { '10.5': 'DO 1', own: NEW_TYPES, '11.8': NEWEST };
