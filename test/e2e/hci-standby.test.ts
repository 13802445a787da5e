import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import { slaveStatus } from '../support/link.ts';
import { movesUnderWrites } from './support/moves.ts';
import { beginPublished } from './support/published-stage.ts';
import type { Stage } from './support/stage.ts';

// Primary and standby replicate by file and position; the standby does not log what it applies, so its binlog says
// nothing of what it has; the replicas were attached by file and position through the VIP. The publishers run beside the
// members in place of the old scripts.
let stage: Stage;
let close = async (): Promise<void> => undefined;

before(async () => {
  ({ stage, close } = await beginPublished({
    bench: { port: 63306, server: { 'log-slave-updates': 0 }, standbyLink: 'file', replicas: { link: 'file' } },
  }));
});
after(async () => close());

test('replicas by file and position through the VIP are adopted: by GTID, to the address of the member', async () => {
  const { a, replicas } = stage.bench;

  const status = await stage.following(a.name);

  assert.deepEqual([status.handovers[0]?.trigger, status.handovers[0]?.outcome], ['Adoption', 'Completed']);
  for (const { name, db } of replicas) {
    const link = await slaveStatus(db);
    assert.deepEqual(
      [link?.['Master_Host'], link?.['Master_Port'], link?.['Using_Gtid']],
      [a.address, '63306', 'Slave_Pos'],
      name,
    );
  }
});

/** What the status says of the publishers: who answers, and who has the VIP. */
function said({ source }: Status): string {
  return source.members.map(({ name, publisher }) => `${name} ${publisher?.reachable} ${publisher?.vipHeld}`).join();
}

test('the publishers of both members are heard', async () => {
  await stage.statusIs('both are reachable', (now) => said(now) === 'hci-a true true,hci-b true false');
});

test('a planned move of equal-size transactions: each replica goes on at the takeover point', async () => {
  const { a, b } = stage.bench;
  await movesUnderWrites(stage, {
    from: a,
    to: b,
    mix: 'equal',
    proof: 'TakeoverPoint',
    fault: async () => a.planned(),
  });
  await stage.statusIs('the publishers say so too', (now) => said(now) === 'hci-a true false,hci-b true true');
});

test('the old primary is the standby now, and the VIP moves back to it', async () => {
  const { a, b } = stage.bench;
  await stage.bench.rejoin(a, 'keep');
  await movesUnderWrites(stage, {
    from: b,
    to: a,
    mix: 'equal',
    proof: 'TakeoverPoint',
    fault: async () => b.planned(),
  });
});

test('kill -9 of the primary: nothing is lost between the crash and its detection', async () => {
  const { a, b } = stage.bench;
  await stage.bench.rejoin(b, 'keep');
  await movesUnderWrites(stage, { from: a, to: b, pause: true, proof: 'TakeoverPoint', fault: async () => a.kill9() });
});
