import assert from 'node:assert/strict';
import type { Status } from '../../../src/api/v1alpha1.ts';
import { assertRight } from '../../support/judge.ts';
import type { Member } from '../../support/member.ts';
import { Writer } from '../../support/writer.ts';
import type { Stage } from './stage.ts';

const ENOUGH = 150;

export interface Move {
  readonly from: Member;
  readonly to: Member;
  readonly fault: () => Promise<void> | void;
  /** What the application does at the moment of the fault: by default it goes on. */
  readonly pause?: boolean;
}

/**
 * One move of the VIP under writes, and what must be true after every one of them: rows right on every replica, the new
 * holder itself feeds it, nothing that the application was told is missing on the holder, one completed record.
 */
export async function movesUnderWrites(stage: Stage, { from, to, fault, pause = false }: Move): Promise<Status> {
  const { bench } = stage;
  const before = (await stage.following(from.name)).handovers[0]?.id;
  let writer = new Writer(bench);
  await writer.writes(ENOUGH, from.name);
  if (pause) await writer.stop();
  if (pause)
    await Promise.all(
      [bench.b, bench.a].map(async ({ db }) => (db === from.db ? undefined : bench.follows(db, from.db))),
    );

  await fault();

  if (pause) writer = new Writer(bench);
  await writer.writes(ENOUGH, to.name, 60_000);
  const status = await stage.statusIs(
    `the handover to ${to.name} is recorded and every replica follows`,
    ({ handovers, following, holder }) => handovers[0]?.id !== before && following === '3/3' && holder === to.name,
    60_000,
  );
  await writer.stop();
  await assertRight(bench, to);
  assertRecorded(status, from, to);
  return status;
}

/** The newest record: everything went over, each replica by its own proof. */
export function assertRecorded(status: Status, from: Member, to: Member): void {
  const [record] = status.handovers;
  assert.equal(record?.outcome, 'Completed');
  assert.deepEqual([record.from, record.to, record.trigger], [from.name, to.name, 'VipMoved']);
  assert.deepEqual(
    record.replicas.map((replica) => replica.proof),
    ['Contained', 'Contained', 'Contained'],
  );
}

/** `True`, `False` or `Unknown`, with the reason. */
export function condition(status: Status, type: string): string {
  const found = status.conditions.find((one) => one.type === type);
  return found === undefined ? 'none' : `${found.status}/${found.reason}`;
}
