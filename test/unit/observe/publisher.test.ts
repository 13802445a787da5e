import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../../src/clock.ts';
import { systemClock } from '../../../src/clock.ts';
import type { PublisherLook } from '../../../src/domain/published.ts';
import { databaseSeenAt } from '../../../src/domain/published.ts';
import { publishedLook } from '../../../src/observe/published.ts';
import type { WatchedPublisher } from '../../../src/observe/publisher.ts';
import { watchPublisher } from '../../../src/observe/publisher.ts';
import { until } from '../../support/wait.ts';
import { FakePublisher, PUBLISHER, refusal, SAID, TAKEOVER } from './fake-publisher.ts';

const SOON = { intervalMs: 2, deadlineMs: 10_000 };
/** As good as never: what happens meanwhile has another cause. */
const NEVER_MS = 60_000;
const SEVERAL_INTERVALS_MS = 150;

interface Watching {
  readonly publisher: FakePublisher;
  readonly watched: WatchedPublisher;
  changes: number;
  news: number;
  answersSince: number | null;
}

function watch(context: TestContext, how: { intervalMs?: number; clock?: Clock; fake?: FakePublisher } = {}): Watching {
  const { intervalMs = NEVER_MS, clock = systemClock, fake: publisher = new FakePublisher() } = how;
  const watching = { publisher, changes: 0, news: 0, answersSince: null as number | null };
  const watched = watchPublisher({
    target: PUBLISHER,
    port: publisher,
    clock,
    timing: () => ({ probeIntervalMs: intervalMs, probeTimeoutMs: 30 }),
    pace: () => 'calm',
    answersSince: () => watching.answersSince,
    onChange: () => (watching.changes += 1),
    onNews: () => (watching.news += 1),
    mayHurry: () => true,
  });
  context.after(() => watched.stop());
  return Object.assign(watching, { watched });
}

async function begun(context: TestContext, how: Parameters<typeof watch>[1] = {}): Promise<Watching> {
  const watching = watch(context, how);
  await until('it has answered', () => watching.watched.fact().known, SOON);
  return watching;
}

function said({ watched }: Watching): PublisherLook {
  const fact = watched.fact();
  assert.ok(fact.known);
  return fact.value;
}

describe('what a publisher says', () => {
  test('in the terms of the domain', () => {
    const look = publishedLook({ ...SAID, takeover: TAKEOVER }, PUBLISHER.name);
    assert.equal(look.identity?.startedAt, Date.parse('2026-03-01T11:00:00.000Z'));
    assert.deepEqual([look.identity?.machineId, look.identity?.datadirId], ['machine-a', null]);
    assert.equal(look.binlogState.get(0)?.get(2), 4n);
    assert.deepEqual(look.takeover?.end, { file: 'a-bin.000001', position: 500 });
    assert.deepEqual(look.takeover?.standby.applied, { file: 'b-bin.000007', position: 900 });
    assert.equal(look.takeover?.slavePos.get(0)?.seq, 4n);
    const { sourceHost, sourceServerId, usingGtid, drained } = look.takeover?.standby ?? {};
    assert.deepEqual([sourceHost, sourceServerId, usingGtid, drained], ['10.0.0.12', 2, true, true]);
    assert.deepEqual([look.peer, look.imported], [null, { masterEnd: null, slaveEnd: null }]);
  });

  test('of its peer and of old .pos files', () => {
    const [observedAt, writtenAt] = ['2026-03-01T11:59:00.000Z', '2026-03-01T11:58:00.000Z'];
    const end = { file: 'b-bin.000007', position: 900 };
    const server = { serverId: 2, serverUid: '', startedAt: observedAt, vipHeld: null };
    const peer = { member: 'b', ...server, ...end, gtidBinlogPos: '0-2-4', observedAt };
    const imported = { masterEnd: { ...end, writtenAt }, slaveEnd: null };
    const look = publishedLook({ ...SAID, peer, imported }, PUBLISHER.name);
    const binlogPos = new Map([[0, { domain: 0, serverId: 2, seq: 4n }]]);
    assert.deepEqual(look.peer, { member: 'b', end, binlogPos, at: Date.parse(observedAt) });
    assert.deepEqual(look.imported, { masterEnd: { ...end, at: Date.parse(writtenAt) }, slaveEnd: null });
    assert.throws(() => publishedLook({ ...SAID, peer: { ...peer, gtidBinlogPos: '0' } }, ''), /peer.gtidBinlogPos/);
  });

  test('with a GTID that is none is no answer at all', async (context) => {
    const wrong = { gtidBinlogPos: '0-1', gtidBinlogState: 'x', gtidSlavePos: '0-1-1,0-2-2' };
    for (const [field, text] of Object.entries(wrong)) {
      assert.throws(() => publishedLook({ ...SAID, [field]: text }, ''), new RegExp(`${field} is no GTID`));
    }
    for (const field of ['gtid', 'binlogPos', 'binlogState']) {
      const takeover = { ...TAKEOVER, [field]: '1-2-3-4' };
      assert.throws(() => publishedLook({ ...SAID, takeover }, ''), new RegExp(`takeover.${field} is no GTID`));
    }
    const fake = new FakePublisher();
    fake.says = { ...SAID, gtidSlavePos: 'nonsense' };
    const { watched } = watch(context, { fake });
    await until('it was asked', () => !watched.fact().known && fake.asked.length > 0, SOON);
    await until('the answer was refused', () => {
      const fact = watched.fact();
      return !fact.known && fact.code === 'ProtocolError';
    });
  });

  test('is as old as its question, and the part about the database older by what it says', async (context) => {
    let now = 1_000;
    const clock = { monotonicMs: () => now, wallMs: () => 0 };
    const fake = new FakePublisher();
    const { fetchCoordinates } = fake;
    const slow: FakePublisher['fetchCoordinates'] = async (...args) => {
      now += 500;
      return fetchCoordinates(...args);
    };
    Object.assign(fake, { fetchCoordinates: slow });
    const { watched } = await begun(context, { clock, fake });
    const fact = watched.fact();
    assert.ok(fact.known);
    assert.deepEqual([fact.at, databaseSeenAt(fact)], [1_000, 960]);
  });
});

describe('a publisher in calm', () => {
  test('is asked once per interval and followed, and tells nothing while nothing changes', async (context) => {
    const watching = await begun(context, { intervalMs: 10 });
    const { publisher } = watching;
    const asked = publisher.asked.length;
    publisher.says = { ...SAID, position: 900, gtidBinlogPos: '0-1-12', monotonicAgeMs: 3 };
    await until('it was asked often', () => publisher.asked.length > asked + 5, SOON);
    assert.deepEqual([watching.changes, watching.news, publisher.streams.length], [1, 0, 1]);
    assert.equal(said(watching).binlogPos.get(0)?.seq, 12n);
  });

  test('that lost an answer is not silent yet, after the next one it is, with the cause', async (context) => {
    const watching = await begun(context);
    const { publisher, watched } = watching;
    publisher.fails = refusal();
    watched.wake();
    await until('it was asked again', () => publisher.asked.length === 2, SOON);
    await delay(5);
    assert.equal(watched.fact().known, true);
    watched.wake();
    await until('it is silent', () => !watched.fact().known, SOON);
    const fact = watched.fact();
    assert.ok(!fact.known && fact.code === 'ConnectionRefused' && fact.why.includes('nobody listens'));
    assert.equal(watching.changes, 2);
    publisher.fails = null;
    watched.wake();
    await until('it answers', () => watched.fact().known, SOON);
    assert.equal(watching.changes, 3);
  });

  test('that never answers is asked again after each deadline, and holds nobody up', async (context) => {
    const fake = new FakePublisher();
    fake.fails = 'silent';
    const { watched, publisher } = watch(context, { intervalMs: 5, fake });
    await until('it was asked again', () => publisher.asked.length > 2, SOON);
    assert.equal(watched.fact().known, false);
  });

  test('a defect of its client is a fact too', async (context) => {
    const fake = new FakePublisher();
    fake.fails = new TypeError('x is undefined');
    const { watched } = watch(context, { fake });
    await until('it is told', () => {
      const fact = watched.fact();
      return !fact.known && fact.code === 'Bug';
    });
  });

  test('the pass is woken once its database was looked at since the VIP answers', async (context) => {
    const watching = await begun(context);
    const { watched, publisher } = watching;
    watching.answersSince = systemClock.monotonicMs() + 20;
    watched.wake();
    await until('it was asked again', () => publisher.asked.length === 2, SOON);
    assert.equal(watching.changes, 1, 'too old an answer changes nothing');
    await delay(SEVERAL_INTERVALS_MS);
    watched.wake();
    await until('the answer counts', () => watching.changes === 2, SOON);
  });
});

describe('news', () => {
  test('an event has the others look, and the publisher asked, at once', async (context) => {
    const watching = await begun(context);
    const { publisher } = watching;
    publisher.event({ vipHeld: false });
    assert.equal(watching.news, 1);
    await until('it was asked', () => said(watching).vipHeld === false, SOON);
    assert.equal(publisher.asked.length, 2);
    assert.equal(watching.news, 1, 'the answer says nothing new');
  });

  test('a promotion is several events: each has the others look, and the publisher is asked once more for all of them', async (context) => {
    const watching = await begun(context);
    const { publisher } = watching;
    publisher.event({ vipHeld: false });
    publisher.event({ vipHeld: false, readOnly: true });
    publisher.event({ vipHeld: false, readOnly: false });
    assert.equal(watching.news, 3);
    publisher.says = { ...publisher.says, vipHeld: false, readOnly: false, position: 77 };
    await until('it was asked', () => said(watching).end?.position === 77, SOON);
    await delay(SEVERAL_INTERVALS_MS);
    assert.equal(publisher.asked.length, 2);
  });

  test('another role, server or VIP in an answer does the same; other positions do not', async (context) => {
    const watching = await begun(context);
    const { publisher, watched } = watching;
    const changes = [
      { readOnly: true },
      { vipHeld: null },
      { identity: null },
      { databaseAnswers: false },
      { position: 9_000 },
    ];
    for (const [index, change] of changes.entries()) {
      publisher.says = { ...publisher.says, ...change };
      const asked = publisher.asked.length;
      watched.wake();
      await until('it was asked', () => publisher.asked.length > asked, SOON);
      await until('it was heard', () => watching.news === Math.min(index + 1, 4), SOON);
      await delay(SEVERAL_INTERVALS_MS);
    }
    assert.equal(watching.news, 4);
  });

  test('an event that repeats what is known wakes nobody', async (context) => {
    const watching = await begun(context);
    for (let left = 10; left > 0; left -= 1) watching.publisher.event({ position: 1_000 + left });
    await delay(SEVERAL_INTERVALS_MS);
    assert.deepEqual([watching.news, watching.publisher.asked.length], [0, 1]);
  });

  test('a publisher that says something else with every word wakes nobody more than a few times', async (context) => {
    const watching = await begun(context);
    for (let left = 1_000; left > 0; left -= 1) watching.publisher.event({ vipHeld: left % 2 === 0 });
    assert.ok(watching.news > 0 && watching.news <= 5, `${watching.news} of 1000`);
    await delay(SEVERAL_INTERVALS_MS);
    assert.ok(watching.publisher.asked.length <= 10, `${watching.publisher.asked.length} questions`);
  });

  test('since when it says the same of the VIP is remembered', async (context) => {
    const watching = await begun(context);
    const since = said(watching).vipHeldSince;
    watching.watched.wake();
    await until('it was asked again', () => watching.publisher.asked.length === 2, SOON);
    assert.equal(said(watching).vipHeldSince, since);
    watching.publisher.event({ vipHeld: false });
    await until('it says no', () => said(watching).vipHeld === false, SOON);
    assert.ok(said(watching).vipHeldSince > since);
  });

  test('a stream that ends has it asked at once', async (context) => {
    const { publisher } = await begun(context);
    const follower = publisher.streams[0]?.follower;
    follower?.onState(false, refusal());
    await delay(5);
    assert.equal(publisher.asked.length, 1, 'it had not begun');
    follower?.onState(true, null);
    follower?.onState(false, refusal());
    await until('it was asked', () => publisher.asked.length === 2, SOON);
  });
});

describe('another target', () => {
  test('a new token is used at once, and what is known stays', async (context) => {
    const { publisher, watched } = await begun(context);
    watched.retarget({ ...PUBLISHER });
    assert.equal(publisher.streams.length, 1, 'the same target');
    watched.retarget({ ...PUBLISHER, token: 'rotated' });
    assert.equal(watched.fact().known, true);
    await until('it is used', () => publisher.asked.at(-1)?.token === 'rotated', SOON);
    assert.deepEqual(
      publisher.streams.map(({ target, follower }) => [target.token, follower.signal.aborted]),
      [
        ['s3cret', true],
        ['rotated', false],
      ],
    );
  });

  test('what another address said is forgotten, and its late events are not heard', async (context) => {
    const watching = await begun(context);
    const { publisher, watched } = watching;
    const old = publisher.streams[0]?.follower;
    publisher.fails = 'silent';
    watched.retarget({ ...PUBLISHER, url: 'https://10.0.0.99:9480' });
    assert.equal(watched.fact().known, false);
    old?.onEvent({ ...SAID, vipHeld: false });
    assert.equal(watching.news, 0);
  });

  test('stopped, it asks nobody and hears nothing', async (context) => {
    const watching = await begun(context, { intervalMs: 5 });
    const { publisher, watched } = watching;
    watched.stop();
    const { changes } = watching;
    assert.equal(publisher.streams[0]?.follower.signal.aborted, true);
    await delay(20);
    const asked = publisher.asked.length;
    publisher.event({ vipHeld: false });
    await delay(SEVERAL_INTERVALS_MS);
    assert.deepEqual([publisher.asked.length, watching.changes, watching.news], [asked, changes, 0]);
  });
});
