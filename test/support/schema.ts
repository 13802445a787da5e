import type { MariaDbServer } from './mariadb.ts';

/** Rows of the update-heavy table. */
export const HOT_ROWS = 50;

/**
 * What the application writes into. `plain` has no key at all, so a row applied twice is not refused by luck; `auto`
 * has an auto-increment key, so reused coordinates collide; `hot` is updated in place, so a lost change shows;
 * `firsts` gets the first row of each of the application's sessions, which makes a move easy to time.
 */
export const TABLES = ['plain', 'auto', 'hot', 'firsts'] as const;
export type TableName = (typeof TABLES)[number];

/** The columns that say all of a row. */
export const COLUMNS: Readonly<Record<TableName, string>> = {
  plain: 'token',
  auto: 'id, token, MD5(filler)',
  hot: 'id, changes, token',
  firsts: 'token',
};

export async function createSchema(primary: MariaDbServer): Promise<void> {
  const rows = Array.from({ length: HOT_ROWS }, (_, id) => `(${id}, 0, '')`).join(', ');
  await primary.sql(`
    CREATE DATABASE app;
    USE app;
    CREATE TABLE app.plain (token CHAR(24) NOT NULL) ENGINE=InnoDB;
    CREATE TABLE app.auto (id BIGINT AUTO_INCREMENT PRIMARY KEY, token CHAR(24) NOT NULL, filler VARBINARY(4000)) ENGINE=InnoDB;
    CREATE TABLE app.hot (id INT PRIMARY KEY, changes BIGINT NOT NULL, token CHAR(24) NOT NULL) ENGINE=InnoDB;
    CREATE TABLE app.firsts (token CHAR(24) PRIMARY KEY) ENGINE=InnoDB;
    INSERT INTO app.hot VALUES ${rows}`);
}
