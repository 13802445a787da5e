import assert from 'node:assert/strict';
import type { Bench, Replica } from '../../support/bench.ts';
import { slaveStatus } from '../../support/link.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { COLUMNS, TABLES } from '../../support/schema.ts';
import { until } from '../../support/wait.ts';
import { NAMESPACE } from './stage.ts';
import type { Stage } from './stage.ts';

/** What a refusal must leave as it was: where the link points, how it asks, where the replica stands, and every row. */
export interface Standing {
  readonly link: Readonly<Record<string, string | null | undefined>>;
  readonly gtid: string | null | undefined;
  readonly rows: Readonly<Record<string, string | null | undefined>>;
}

const LINK_FIELDS = ['Master_Host', 'Master_Port', 'Master_User', 'Using_Gtid', 'Gtid_IO_Pos'] as const;

export async function standingOf({ db }: Replica): Promise<Standing> {
  const status = await slaveStatus(db);
  const link = Object.fromEntries(LINK_FIELDS.map((field) => [field, status?.[field]]));
  const { gtid } = await db.row('SELECT @@gtid_slave_pos AS gtid');
  const rows: Record<string, string | null | undefined> = {};
  for (const table of TABLES) {
    const { Checksum: checksum } = await db.row(`CHECKSUM TABLE app.${table}`);
    const { n } = await db.row(`SELECT COUNT(*) AS n FROM app.${table}`);
    rows[table] = `${n} rows of (${COLUMNS[table]}), checksum ${checksum}`;
  }
  return { link, gtid, rows };
}

/** Remembers how replicas stand now; the result asserts that each still stands so. */
export async function remember(replicas: readonly Replica[]): Promise<() => Promise<void>> {
  const before = await Promise.all(replicas.map(standingOf));
  return async () => {
    const now = await Promise.all(replicas.map(standingOf));
    for (const [index, replica] of replicas.entries()) {
      assert.deepEqual(now[index], before[index], `${replica.name} was changed`);
    }
  };
}

let inserted = 0;

/** Rows written at this very server, whoever holds the VIP: one transaction each, in the table without a unique key. */
export async function insertAt(db: MariaDbServer, count: number, before = ''): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    inserted += 1;
    await db.sql(`${before} INSERT INTO app.plain VALUES ('${db.name}-${inserted}')`);
  }
}

/** Resolves when each of these replicas has applied all that the source has written. */
export async function allReached(bench: Bench, replicas: readonly Replica[], source: MariaDbServer): Promise<void> {
  await Promise.all(replicas.map(async ({ db }) => bench.follows(db, source)));
}

/** Purges everything that the server has logged so far; a file goes only once the engine has all of it. */
export async function purge(db: MariaDbServer): Promise<void> {
  const files = await db.sql('FLUSH BINARY LOGS; SHOW BINARY LOGS');
  const newest = files.at(-1)?.['Log_name'] ?? '';
  await until(`${db.name} has purged all before ${newest}`, async () => {
    const left = await db.sql(`PURGE BINARY LOGS TO '${newest}'; SHOW BINARY LOGS`);
    return left.length === 1;
  });
}

/** Resolves when the read Service has exactly these pods: those with the label that it selects. */
export async function onlyServe(stage: Stage, pods: readonly string[]): Promise<void> {
  const label = 'mxr.dev/serving=true';
  await until(`${pods.join(', ') || 'no pod'} alone can be read from`, async () => {
    const serving = await stage.api.list({ api: 'v1', plural: 'pods', namespace: NAMESPACE }, label);
    return (
      serving
        .map(({ metadata }) => metadata?.name ?? '')
        .toSorted()
        .join() === pods.toSorted().join()
    );
  });
}

/** Resolves with the id that every frozen replica prints once the split is over and waits for a person. */
export async function approvalAsked(stage: Stage): Promise<string> {
  const { replicas } = await stage.statusIs(
    'every replica is frozen and asks for an approval',
    (status) =>
      status.source.split?.endedAt !== undefined &&
      status.replicas.every(({ verdict, message }) => verdict === 'Frozen' && APPROVAL.test(message)),
    60_000,
  );
  return APPROVAL.exec(replicas[0]?.message ?? '')?.[1] ?? '';
}

const APPROVAL = /mxr\.dev\/approve=(\S+)/;
