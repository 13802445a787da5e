import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import { assertRight } from '../support/judge.ts';
import { Writer } from '../support/writer.ts';
import { LocalService } from './support/local-service.ts';
import { movesUnderWrites } from './support/moves.ts';
import { Stage } from './support/stage.ts';
import { noteVerdicts } from './support/told.ts';

// Services write to databases of their own on the replicas: under the server's own id in the source's domain (r1), in a
// domain of its own with the strict mode on (r2), and where the binlog has nothing else (r3).
let stage: Stage;
let services: readonly LocalService[];

before(async () => {
  stage = await Stage.open({
    bench: { readOnly: false, fall: 10, replicas: { server: { 'read-only': 0 } } },
    spec: { replicas: { localWrites: 'Allowed' } },
  });
  const [, r2, r3] = stage.bench.replicas;
  assert.ok(r2 && r3);
  await r2.db.restart({ 'gtid-domain-id': 102, 'gtid-strict-mode': 1 });
  await r3.db.restart({ 'log-slave-updates': false });
  services = await Promise.all(stage.bench.replicas.map((replica) => LocalService.start(replica)));
  await stage.startOperator();
});
after(async () => {
  await Promise.all(services.map((service) => service.end()));
  await stage.close();
});

test('replicas that services write to are adopted as they are', async () => {
  const writer = new Writer(stage.bench);
  await writer.writes(50, 'hci-a');
  await stage.createResource();
  await stage.following('hci-a');
  await writer.stop();
  await assertRight(stage.bench, stage.bench.a);
  await assertLeftAlone();
});

test('the holder restarts while mxr is down: contents are compared among local transactions', async () => {
  const { bench } = stage;
  const before = startOf(await stage.following('hci-a'));
  const writer = new Writer(bench);
  await writer.writes(50, 'hci-a');
  await stage.operator.kill9();
  await bench.a.db.restart();
  await writer.writes(50, 'hci-a');
  await stage.startOperator();
  await stage.statusIs('the restart is seen', (status) => startOf(status) !== before);
  await stage.following('hci-a');
  await writer.stop();
  await assertRight(bench, bench.a);
  await assertLeftAlone();
});

test('a planned move: each replica continues on the new member, what is local stays', async () => {
  const { a, b } = stage.bench;
  const verdicts = noteVerdicts(stage);
  await movesUnderWrites(stage, { from: a, to: b, pause: true, fault: async () => a.planned() });
  await assertNeverAccused(verdicts);
  await assertLeftAlone();
});

test('and back, after a kill -9', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await bench.rejoin(a, 'keep');
  const verdicts = noteVerdicts(stage);
  await movesUnderWrites(stage, { from: b, to: a, pause: true, fault: async () => b.kill9() });
  await assertNeverAccused(verdicts);
  await assertLeftAlone();
});

/** Local rows are all there and can still be written; settings that are the owner's are as he made them. */
async function assertLeftAlone(): Promise<void> {
  for (const service of services) await service.assertIntact();
  const settings = await Promise.all(
    stage.bench.replicas.map(async ({ db }) =>
      Object.values(await db.row('SELECT @@read_only, @@gtid_strict_mode, @@gtid_domain_id')).join(),
    ),
  );
  assert.deepEqual(settings, ['0,0,0', '0,1,102', '0,0,0']);
}

async function assertNeverAccused(verdicts: ReturnType<typeof noteVerdicts>): Promise<void> {
  for (const [pod, told] of await verdicts.end()) {
    const accusations = [...told].filter((one) => /^(Ahead|Diverged|LocalConflict|Unproven|Behind|Purged)/.test(one));
    assert.deepEqual(accusations, [], `${pod} was accused of what is its own`);
  }
}

function startOf({ source }: Status): string | undefined {
  return source.members.find(({ name }) => name === 'hci-a')?.startedAt;
}
