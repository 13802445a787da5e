// Primary and standby replicate by file and position, the standby does not log what it applies, and its promotion forgets
// the old primary: once it writes, only its publisher still knows where it took over.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Coordinates } from '../../src/api/publisher.ts';
import type { Status } from '../../src/api/v1alpha1.ts';
import { assertRight } from '../support/judge.ts';
import type { Member } from '../support/member.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { assertRecorded } from './support/moves.ts';
import { PUBLISHER_TOKEN, PublisherProcess, published, publishing } from './support/publisher-process.ts';
import { remember } from './support/refusal.ts';
import { NAMESPACE, Stage } from './support/stage.ts';

const ENOUGH = 100;
let stage: Stage;
const publishers = new Map<string, PublisherProcess>();

before(async () => {
  stage = await Stage.open({
    bench: {
      server: { 'log-slave-updates': 0 },
      standbyLink: 'file',
      resetSlaveAll: true,
      replicas: { link: 'file' },
    },
  });
  const { bench, api } = stage;
  await api.createSecret(NAMESPACE, 'orders-publisher', { token: PUBLISHER_TOKEN });
  for (const member of bench.members) publishers.set(member.name, await PublisherProcess.start(bench, member));
  await stage.startOperator();
  await stage.createResource();
});
after(async () => {
  for (const publisher of publishers.values()) await publisher.kill9();
  await stage.close();
});

/** The VIP moves under writes while no operator runs, and the new holder is written to at once. */
async function movesUnseen(from: Member, to: Member): Promise<void> {
  const { bench } = stage;
  await stage.following(from.name);
  const writer = new Writer(bench);
  await writer.writes(ENOUGH, from.name);
  await stage.operator.kill9();
  // The status is older than this, so what it says of the standby is, too.
  await writer.writes(ENOUGH, from.name);
  await from.planned();
  await writer.writes(ENOUGH, to.name, 60_000);
  await writer.stop();
}

async function recordOf(member: Member): Promise<Coordinates> {
  const seen = await published(member);
  const point = member.takeoverPoint();
  assert.deepEqual([seen.takeover?.ownFile, seen.takeover?.ownPosition], [point.file, point.position]);
  return seen;
}

test('the VIP moves while no operator runs: without publishers nobody knows where the new holder took over', async () => {
  const { a, b } = stage.bench;
  await movesUnseen(a, b);

  await stage.startOperator();

  const { replicas } = await stage.statusIs(
    'every replica is refused',
    ({ holder, replicas: all }) => holder === b.name && all.every(({ reason }) => reason === 'TakeoverUnknown'),
    60_000,
  );
  assert.match(replicas[0]?.message ?? '', /Run mxr publisher beside the members/);
});

test('with them each replica goes on where the publisher saw the takeover', async () => {
  const { a, b } = stage.bench;
  await recordOf(b);

  await stage.patchSpec({ source: publishing(stage.bench) });

  const status = await stage.statusIs(
    'every replica follows',
    ({ following, holder }) => holder === b.name && following === '3/3',
    60_000,
  );
  await assertRight(stage.bench, b);
  assertRecorded(status, a, b, 'TakeoverPoint');
});

test('a publisher that lies about the takeover is refused, and nothing is touched', async () => {
  const { a, b } = stage.bench;
  await stage.bench.rejoin(a, 'keep');
  await until('the publisher of a sees it as a standby', async () => (await published(a)).slave?.masterServerId === 2);
  await movesUnseen(b, a);
  const truth = await recordOf(a);
  await publishers.get(a.name)?.kill9();
  const { takeover } = truth;
  assert.ok(takeover !== null);
  const behindItsWrites = { ...takeover, ownFile: truth.file, ownPosition: truth.position };
  publishers.set(a.name, await PublisherProcess.lying(a, { ...truth, takeover: behindItsWrites }));
  const untouched = await remember(stage.bench.replicas);

  await stage.startOperator();

  const refused = ({ holder, replicas }: Status): boolean =>
    holder === a.name && replicas.length === 3 && replicas.every(({ verdict }) => verdict === 'Unproven');
  const status = await stage.statusIs('every replica is refused', refused, 60_000);
  for (const { reason, ready, serving } of status.replicas) {
    assert.ok(['TakeoverUnknown', 'WitnessesDisagree', 'NotPrefix'].includes(reason), reason);
    assert.deepEqual([ready, serving], [false, false]);
  }
  await untouched();
});

test('the right publisher is back: each replica goes on by what it says', async () => {
  const { a, b } = stage.bench;
  await publishers.get(a.name)?.kill9();
  publishers.set(a.name, await PublisherProcess.start(stage.bench, a));

  const status = await stage.statusIs(
    'every replica follows',
    ({ following, holder }) => holder === a.name && following === '3/3',
    60_000,
  );

  await assertRight(stage.bench, a);
  assertRecorded(status, b, a, 'TakeoverPoint');
});

test('the primary dies with what its standby never got: what the publisher saw of it says what is missing', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await bench.rejoin(b, 'keep');
  await b.db.sql('STOP SLAVE IO_THREAD');
  const writer = new Writer(bench);
  await writer.writes(ENOUGH, a.name);
  await writer.stop();
  const { end } = await a.db.row('SELECT @@gtid_binlog_pos AS end');
  await until('the publisher of b saw all of it', async () => (await published(b)).peer?.gtidBinlogPos === end);

  await a.kill9();

  const missing = ({ findings }: Status) => findings.find(({ finding }) => finding === 'PeerWritesMissing');
  const status = await stage.statusIs(
    'it is told',
    (now) =>
      now.holder === b.name && missing(now) !== undefined && now.replicas.every((one) => one.verdict === 'Ahead'),
    60_000,
  );
  assert.match(missing(status)?.message ?? '', /hci-a does not answer, and had logged \d{3,} transactions that hci-b/);
});
