// What stands right before and right after the takeover: statements that are logged in other ways than rows of a transaction.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Proof } from '../../../src/api/reasons.ts';
import type { LinkMode } from '../../support/link.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { orOwn, prepareVersions } from '../versions/servers.ts';
import { World } from './world.ts';

const { '10.5': version } = await prepareVersions();
const { title: VERSION, tools } = orOwn(version);
const FULL = process.env['MXR_FULL'] === '1';

interface Pair {
  readonly positioning: 'GTID' | 'FilePosition';
  readonly standbyLink: LinkMode;
  readonly logs: boolean;
  readonly format: 'STATEMENT' | 'ROW' | 'MIXED';
}

const BASE: Pair = { positioning: 'GTID', standbyLink: 'gtid', logs: true, format: 'MIXED' };
const PAIRS: readonly Pair[] = [
  { ...BASE, format: 'STATEMENT', positioning: 'FilePosition', standbyLink: 'file', logs: false },
  { ...BASE, format: 'ROW' },
  ...(FULL
    ? [
        { ...BASE, format: 'STATEMENT' as const },
        { ...BASE, format: 'ROW' as const, standbyLink: 'file' as const, logs: false },
        { ...BASE, positioning: 'FilePosition' as const },
      ]
    : []),
];

/** Each is the last thing that the old holder logs, and the first that the new one does. `%` is a name of its own. */
const STATEMENTS: Readonly<Record<string, string>> = {
  'CREATE, ALTER and DROP': `CREATE TABLE d% (n INT) ENGINE=InnoDB; INSERT INTO d% VALUES (1);
    ALTER TABLE d% ADD COLUMN m INT DEFAULT 7; CREATE TABLE e% (n INT); DROP TABLE e%`,
  'CREATE TABLE ... SELECT': 'CREATE TABLE c% ENGINE=InnoDB SELECT * FROM t',
  'LOAD DATA': "LOAD DATA INFILE '%FILE' INTO TABLE t (n)",
  'an XA transaction': "XA START 'x%'; INSERT INTO t VALUES (9000); XA END 'x%'; XA PREPARE 'x%'; XA COMMIT 'x%'",
  'MyISAM and Aria': `CREATE TABLE m% (n INT) ENGINE=MyISAM; CREATE TABLE a% (n INT) ENGINE=Aria;
    INSERT INTO m% VALUES (1), (2); INSERT INTO a% SELECT n FROM m%; BEGIN; INSERT INTO t VALUES (9001);
    INSERT INTO m% VALUES (3); COMMIT; DELETE FROM a% WHERE n = 1`,
};

let names = 0;

async function run(server: MariaDbServer, statements: string): Promise<void> {
  names += 1;
  const file = join(server.directory, `rows-${names}`);
  writeFileSync(file, Array.from({ length: 2_000 }, (_, row) => `${row}\n`).join(''));
  await server.sql(`USE app; ${statements.replaceAll('%FILE', file).replaceAll('%', String(names))}`);
}

describe(`around a takeover on ${VERSION}`, { concurrency: 4 }, () => {
  for (const [what, statements] of Object.entries(STATEMENTS)) {
    for (const { positioning, standbyLink, logs, format } of PAIRS) {
      const proof: Proof = logs ? 'Contained' : 'TakeoverPoint';
      test(`${what}, binlog_format=${format}, ${positioning}, log_slave_updates=${logs ? 1 : 0}: ${proof}`, async () => {
        const world = await World.open({
          tools,
          standbyLink,
          server: { 'log-slave-updates': logs, 'binlog-format': format },
          replica: positioning === 'FilePosition' ? { 'skip-slave-start': 1 } : {},
          spec: { link: { positioning } },
        });
        try {
          const { a, b } = world;
          await world.write(a);
          await world.settled();
          world.startMxr();
          await world.followed(a);
          await run(a, statements);
          await world.settled();
          await a.kill9();
          await world.promote('STOP SLAVE', 0);
          await run(b, statements);
          await world.assertProven(proof);
          await world.sameRows(b);
        } finally {
          await world.close();
        }
      });
    }
  }
});
