import { createSourceAccounts } from '../support/accounts.ts';
import type { Bench } from '../support/bench.ts';
import type { MariaDbServer } from '../support/mariadb.ts';

/** A database that the application writes to, too, and that the pair's filters keep from somebody. */
export const SIDE = 'side';
const TABLE = `CREATE DATABASE ${SIDE}; CREATE TABLE ${SIDE}.noise (token CHAR(24) NOT NULL) ENGINE=InnoDB`;

/** On every server by itself, as a person has to who filters: replication may not carry it. */
export async function createSide({ members, replicas, accounts }: Bench): Promise<void> {
  const { user } = accounts.application;
  // On shared storage one of the two runs, on the data of both.
  for (const { db } of members.filter((member) => member.db.running)) {
    const sql: MariaDbServer['sql'] = (text, params) => db.sql(`SET sql_log_bin = 0; ${text}`, params);
    const [there] = await sql('SELECT 1 FROM mysql.user WHERE user = ?', [user]);
    // Accounts are in no database, so a standby that applies one database only does not get them either.
    if (there === undefined) await createSourceAccounts({ sql }, accounts);
    await sql(`${TABLE}; GRANT ALL ON ${SIDE}.* TO ?@'%'`, [user]);
  }
  await Promise.all(replicas.map(({ db }) => db.sql(`SET sql_log_bin = 0; ${TABLE}`)));
}

/** What is in it; nothing where a set-up has none. */
export async function sideTokens(db: MariaDbServer): Promise<Set<string>> {
  const tables = await db.sql('SELECT 1 FROM information_schema.tables WHERE table_schema = ?', [SIDE]);
  if (tables.length === 0) return new Set();
  return new Set((await db.sql(`SELECT token FROM ${SIDE}.noise`)).map((row) => row['token'] ?? ''));
}

/** As `sideStatement` writes them. */
export const SIDE_TOKEN = /^side-\d+$/;

/** Filters go by the database that a statement is written in. */
export function sideStatement(turn: number): string {
  return `USE ${SIDE}; INSERT INTO noise VALUES ('side-${turn}')`;
}
