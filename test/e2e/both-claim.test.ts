// Both hosts have the VIP and both servers are writable, and every fresh connection of the operator still ends on the same
// one: nothing shows it but the publishers of the two.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { calm } from './support/begin.ts';
import { assertBound } from './support/bound.ts';
import { beginPublished } from './support/published-stage.ts';
import { insertAt, remember } from './support/refusal.ts';
import { allFrozen, assertFrozen, bothServe, endedByProof, oneHolderAgain, seesVipAt } from './support/split.ts';
import { until } from '../support/wait.ts';
import type { Stage } from './support/stage.ts';
import { Telling } from './support/telling.ts';

let stage: Stage;
let close = async (): Promise<void> => undefined;

before(async () => {
  ({ stage, close } = await beginPublished({ bench: { readOnly: false } }));
});
after(async () => close());

test('a pair that never sets read_only is calm; that the standby takes writes is a finding', async () => {
  await calm(stage);
  const { source, findings } = await stage.statusIs('the finding is told', ({ findings: all }) =>
    all.some(({ finding }) => finding === 'StandbyWritable'),
  );
  assert.equal(source.situation, 'Stable');
  assert.deepEqual(
    findings.filter(({ finding }) => finding === 'StandbyWritable').map(({ severity, subject }) => [severity, subject]),
    [['warning', stage.bench.b.name]],
  );
});

test('VRRP is cut: frozen by what the two publishers say, reads go on, ended by proof', async (t) => {
  const { bench } = stage;
  const { a, b } = bench;
  await seesVipAt(bench, a);
  const telling = new Telling(stage);
  await Promise.all([a.cutVrrp(), b.cutVrrp()]);
  await bothServe(bench);
  const since = performance.now();
  const status = await stage.statusIs('every replica is frozen', allFrozen);
  const told = await until('it is told', () => telling.told.find((one) => allFrozen(one.status)));
  await telling.stop();
  assertBound(t, 'frozen', told.at - since);
  assert.match(status.source.message, /publishers of hci-a and hci-b each say that their own host has the VIP/);
  await assertFrozen(stage, status);
  const untouched = await remember(bench.replicas);
  await insertAt(a.db, 3);
  await untouched();

  await oneHolderAgain(bench, a, async () => Promise.all([a.healVrrp(), b.healVrrp()]));
  await endedByProof(stage, a, 60_000);
  await assertRight(bench, a);
});
