import { readFileSync } from 'node:fs';
import type { MariaDbServer } from '../../support/mariadb.ts';

/** The statements in a replica's general log (`SET GLOBAL general_log = 1`) that change replication. */
export function statementsOf(db: MariaDbServer): string[] {
  const lines = readFileSync(db.generalLog, 'utf8').split('\n');
  return lines.filter((line) => /\bQuery\s+((STOP|START|RESET) SLAVE|CHANGE MASTER|SET GLOBAL slave_)/.test(line));
}
