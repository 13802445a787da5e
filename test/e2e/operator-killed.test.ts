import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import { assertRight } from '../support/judge.ts';
import type { Member } from '../support/member.ts';
import { monotonicMs } from '../support/monotonic.ts';
import { Writer } from '../support/writer.ts';
import { arm, boundaries, dies, LEASE, startKilledOperator, STATEMENTS } from './support/killed-operator.ts';
import type { Boundary } from './support/killed-operator.ts';
import { Stage } from './support/stage.ts';

/** One belongs to a silence, and what the adoption has set is not set again. */
const NOT_PLANNED: readonly string[] = ['STOP SLAVE IO_THREAD', 'SET GLOBAL slave_net_timeout'];
const PLANNED: readonly Boundary[] =
  process.env['MXR_FULL'] === '1'
    ? boundaries(STATEMENTS.filter((statement) => !NOT_PLANNED.includes(statement)))
    : ['after SELECT GET_LOCK(?, 0) AS taken', 'after STOP SLAVE', 'after CHANGE MASTER', 'after START SLAVE'];
const CRASH: readonly Boundary[] =
  process.env['MXR_FULL'] === '1' ? boundaries(['STOP SLAVE IO_THREAD']) : ['after STOP SLAVE IO_THREAD'];

/** All follow again, and it is recorded, within two lease durations of the death. */
const PROMISED_MS = 2 * Number(LEASE.MXR_LEASE_DURATION_MS);
/** A new process is up after some 2 s here, where the pair, the cluster and all replicas share few cores with it. */
const SLACK_MS = 6_000;

let stage: Stage;
let holder: Member;

before(async () => {
  stage = await Stage.open({ operator: { env: LEASE } });
  holder = stage.bench.a;
  await stage.createResource();
});
after(async () => stage.close());
afterEach(async () => stage.operator.stop());

// One process after the other, each from the status alone; each ends the move in which the one before it died.
for (const boundary of PLANNED) {
  test(`the operator is killed ${boundary} of a planned move: its successor ends it`, async (t) => {
    const from = holder;
    t.diagnostic(await movesAlthoughKilled(boundary, () => from.planned()));
    await stage.bench.rejoin(from, 'keep');
  });
}

for (const boundary of CRASH) {
  test(`the operator is killed ${boundary} while the primary is dead: its successor ends the move`, async (t) => {
    const from = holder;
    t.diagnostic(await movesAlthoughKilled(boundary, () => from.kill9()));
    await stage.bench.rejoin(from, 'clone');
  });
}

async function movesAlthoughKilled(boundary: Boundary, fault: () => Promise<void>): Promise<string> {
  const { bench } = stage;
  const [from, to] = [holder, bench.other(holder)];
  const operator = await startKilledOperator(stage, boundary);
  await stage.following(from.name);
  const writer = new Writer(bench);
  await writer.writes(100, from.name);
  arm(operator);

  await fault();

  // One that lives on holds the Lease, and the next test would wait for it in vain.
  try {
    await dies(stage, operator);
  } finally {
    await operator.kill9();
  }
  const died = monotonicMs();
  await stage.startOperator();
  const [{ status, tookMs }] = await Promise.all([endsAfter(died, from, to), writesOn(to, writer)]);
  holder = to;
  await writer.stop();
  await assertRight(bench, to);
  const [record] = status.handovers;
  assert.equal(record?.outcome, 'Completed');
  const proofs = record.replicas.map(({ pod, proof }) => `${pod} ${proof}`).toSorted();
  assert.deepEqual(proofs, ['r1 Contained', 'r2 Contained', 'r3 Contained'], stage.operator.tail());
  const took = `following again, and recorded, ${tookMs} ms after the death`;
  assert.ok(tookMs <= PROMISED_MS + SLACK_MS, `${took}, not ${PROMISED_MS} + ${SLACK_MS}\n${stage.operator.tail()}`);
  return `${took}\n${stage.operator.tail()}`;
}

async function endsAfter(died: number, from: Member, to: Member): Promise<{ status: Status; tookMs: number }> {
  const status = await stage.statusIs(
    `the handover to ${to.name} is recorded and every replica follows`,
    ({ handovers, following, intent }) =>
      following === '3/3' && handovers[0]?.to === to.name && handovers[0].from === from.name && intent === undefined,
  );
  return { status, tookMs: Math.round(monotonicMs() - died) };
}

async function writesOn(to: Member, writer: Writer): Promise<void> {
  await stage.bench.holderIs(to);
  await writer.writes(100, to.name);
}
