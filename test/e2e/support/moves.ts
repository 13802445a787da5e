import assert from 'node:assert/strict';
import type { Proof } from '../../../src/api/reasons.ts';
import type { Status } from '../../../src/api/v1alpha1.ts';
import { assertRight, compareTables, judge } from '../../support/judge.ts';
import type { Member } from '../../support/member.ts';
import { TABLES } from '../../support/schema.ts';
import { Writer } from '../../support/writer.ts';
import type { WriterConfiguration } from '../../support/writer.ts';
import type { Stage } from './stage.ts';

const ENOUGH = 150;

export interface Move {
  readonly from: Member;
  readonly to: Member;
  readonly fault: () => Promise<void> | void;
  /** What the application does at the moment of the fault: by default it goes on. */
  readonly pause?: boolean;
  /** What the transactions of the application look like. */
  readonly mix?: 'equal' | 'mixed';
  /** The proof that each replica is moved by. */
  readonly proof?: Proof;
}

/**
 * One move of the VIP under writes, and what must be true after every one of them: rows right on every replica, the new
 * holder itself feeds it, nothing that the application was told is missing on the holder, one completed record.
 */
export async function movesUnderWrites(stage: Stage, move: Move): Promise<Status> {
  const { bench } = stage;
  const { from, to, fault, pause = false, mix = 'mixed', proof = 'Contained' } = move;
  const before = (await stage.following(from.name)).handovers[0]?.id;
  const changes = await changesAt(from);
  let writer = new Writer(bench, { mix });
  const writers = [writer];
  await writer.writes(ENOUGH, from.name);
  if (pause) await writer.stop();
  if (pause)
    await Promise.all(
      [bench.b, bench.a].map(async ({ db }) => (db === from.db ? undefined : bench.follows(db, from.db))),
    );

  await fault();

  if (pause) writers.push((writer = new Writer(bench, { mix })));
  await writer.writes(ENOUGH, to.name, 60_000);
  const status = await stage.statusIs(
    `the handover to ${to.name} is recorded and every replica follows`,
    ({ handovers, following, holder }) => handovers[0]?.id !== before && following === '3/3' && holder === to.name,
    60_000,
  );
  await writer.stop();
  await assertNothingMissing(
    to,
    writers.flatMap(({ acknowledged }) => acknowledged),
    changes,
  );
  await assertRight(bench, to);
  assertRecorded(status, from, to, proof);
  return status;
}

/**
 * A move in the middle of writes, without waiting for anything first. Replication to the standby is asynchronous: what
 * only a replica received before the fault is nowhere else. Each replica continues with the right rows, or says that it
 * is ahead, and is.
 */
export async function movesAmidWrites(
  stage: Stage,
  { from, to, fault, mix = 'mixed' }: Omit<Move, 'pause'> & Partial<Pick<WriterConfiguration, 'mix'>>,
): Promise<Status> {
  const { bench } = stage;
  await stage.following(from.name);
  const writer = new Writer(bench, { ratePerSecond: 400, mix });
  await writer.writes(ENOUGH, from.name);

  await fault();

  await writer.writes(ENOUGH, to.name, 60_000);
  const status = await stage.statusIs(
    `every replica follows ${to.name} or is ahead of it`,
    ({ holder, replicas }) =>
      holder === to.name && replicas.every(({ ready, verdict }) => ready || ['Ahead', 'Diverged'].includes(verdict)),
    60_000,
  );
  await writer.stop();
  for (const replica of bench.replicas) {
    const told = status.replicas.find(({ pod }) => pod === replica.name);
    if (told?.ready === true) {
      const [judgement] = await judge(bench, to, { replicas: [replica] });
      assert.deepEqual(judgement?.findings, [], `${replica.name} is ${told.verdict}`);
    } else {
      const more = (await compareTables(to.db, replica.db)).flatMap(({ extra }) => [...extra.keys()]);
      assert.notEqual(more.length, 0, `${replica.name} is ${told?.verdict}, so it has rows that the holder lacks`);
      assert.notEqual(told?.transactions?.gtids.length ?? 0, 0, 'the transactions concerned are listed');
    }
  }
  return status;
}

/** Rows by their token; of the table that is updated in place every change counts, for its tokens are overwritten. */
async function assertNothingMissing(
  { name, db }: Member,
  acknowledged: Writer['acknowledged'],
  changesBefore: number,
): Promise<void> {
  const there = new Set<string>();
  for (const table of TABLES) {
    for (const { token } of await db.sql(`SELECT token FROM app.${table}`)) there.add(token ?? '');
  }
  const missing = acknowledged.filter(({ table, token }) => table !== 'hot' && !there.has(token));
  assert.deepEqual(missing, [], `${name} lacks what the application was told is written`);
  const updated = acknowledged.filter(({ table }) => table === 'hot').length;
  const changes = (await changesAt({ db })) - changesBefore;
  assert.ok(changes >= updated, `${name} has ${changes} changes, and ${updated} were acknowledged`);
}

async function changesAt({ db }: Pick<Member, 'db'>): Promise<number> {
  return Number((await db.row('SELECT SUM(changes) AS n FROM app.hot'))['n']);
}

/** The newest record: everything went over, each replica by its own proof. */
export function assertRecorded(status: Status, from: Member, to: Member, proof: Proof = 'Contained'): void {
  const [record] = status.handovers;
  assert.equal(record?.outcome, 'Completed');
  assert.deepEqual([record.from, record.to, record.trigger], [from.name, to.name, 'VipMoved']);
  assert.deepEqual(
    record.replicas.map((replica) => replica.proof),
    [proof, proof, proof],
  );
}

/** `True`, `False` or `Unknown`, with the reason. */
export function condition(status: Status, type: string): string {
  const found = status.conditions.find((one) => one.type === type);
  return found === undefined ? 'none' : `${found.status}/${found.reason}`;
}
