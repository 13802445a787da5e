import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../../src/clock.ts';
import type { WatchedTargets, Watcher } from '../../../src/observe/watcher.ts';
import { createWatcher } from '../../../src/observe/watcher.ts';
import type { SqlConnect, SqlTarget } from '../../../src/sql/port.ts';
import { until } from '../../support/wait.ts';
import { FakePublisher, PUBLISHER, refusal } from './fake-publisher.ts';
import type { FakeServer } from './fake-server.ts';
import { fakeServer, TARGET } from './fake-server.ts';

const SOON = { intervalMs: 2, deadlineMs: 10_000 };
/** As good as never: what happens meanwhile has another cause. */
const NEVER_MS = 60_000;
const SEVERAL_TURNS_MS = 50;
const VIP: SqlTarget = { ...TARGET, name: 'the VIP', host: '10.0.0.100' };
const MEMBER = { name: 'a', match: null, target: TARGET };
const WITH: WatchedTargets = { vip: VIP, members: [{ ...MEMBER, publisher: PUBLISHER }], replica: TARGET };

interface Watching {
  /** The server behind the VIP. */
  readonly vip: FakeServer;
  readonly watcher: Watcher;
  readonly publisher: FakePublisher;
  /** Looks that were begun. */
  readonly looks: () => { readonly vip: number; readonly member: number };
  changes: number;
}

async function watch(context: TestContext, change: (publisher: FakePublisher) => void = () => {}): Promise<Watching> {
  const publisher = new FakePublisher();
  change(publisher);
  const [vip, member] = [fakeServer(), fakeServer()];
  const connect: SqlConnect = async (target, options) =>
    (target.host === VIP.host ? vip : member).connect(target, options);
  const watching = { publisher, vip, changes: 0 };
  const watcher = createWatcher({
    targets: WITH,
    probeIntervalMs: NEVER_MS,
    probeTimeoutMs: 1_000,
    connect,
    clock: systemClock,
    onChange: () => (watching.changes += 1),
    publishers: publisher,
  });
  context.after(() => watcher.stop());
  await until('everything was asked', () => {
    const { vip: seen, members } = watcher.observation();
    // At the beginning, and once more when the VIP answered for the first time.
    return seen.look.known && members.every(({ look }) => look.known) && publisher.asked.length > 1;
  });
  const asked = (): number => member.statements.filter((sql) => sql === 'SHOW ALL SLAVES STATUS').length;
  return Object.assign(watching, { watcher, looks: () => ({ vip: vip.attempts, member: asked() }) });
}

describe('the watcher of a resource with publishers', () => {
  test('has what each of them says beside the direct look', async (context) => {
    const { watcher } = await watch(context);
    await until('it has answered', () => watcher.observation().members[0]?.publisher?.known === true, SOON);
  });

  test('looks at the VIP and at the members at once when one of them has news', async (context) => {
    const watching = await watch(context);
    const { publisher, looks, watcher } = watching;
    await until('it has answered', () => watcher.observation().members[0]?.publisher?.known === true, SOON);
    const before = looks();
    publisher.event({ vipHeld: false });
    await until('both were looked at', () => looks().vip > before.vip && looks().member > before.member, SOON);
    await until('it was asked again', () => publisher.asked.length > 1, SOON);
  });

  test('goes on without one that is down or answers nonsense', async (context) => {
    for (const fails of [refusal(), 'silent', new TypeError('x')] as const) {
      const { watcher, looks } = await watch(context, (publisher) => (publisher.fails = fails));
      const before = looks();
      await watcher.lookNow({ vip: true, members: ['a'] }, 1_000);
      assert.ok(looks().vip > before.vip && looks().member > before.member);
      assert.equal(watcher.observation().members[0]?.look.known, true);
      assert.equal(watcher.observation().members[0]?.publisher?.known, false);
    }
  });

  test('asks it again when the VIP answers as somebody else: what it said before does not count', async (context) => {
    const { watcher, publisher, vip } = await watch(context);
    // Where the member had not answered yet, the first look through the VIP was a full one.
    await watcher.lookNow({ vip: true }, 1_000);
    await delay(SEVERAL_TURNS_MS);
    const asked = publisher.asked.length;
    await watcher.lookNow({ vip: true }, 1_000);
    await delay(SEVERAL_TURNS_MS);
    assert.equal(publisher.asked.length, asked, 'the same server answers');
    vip.variables = { ...vip.variables, hostname: 'hci-b' };
    await watcher.lookNow({ vip: true }, 1_000);
    await until('it was asked', () => publisher.asked.length === asked + 1, SOON);
  });

  test('ends with it, and where it is taken out of the resource', async (context) => {
    const { watcher, publisher } = await watch(context);
    watcher.setTargets({ ...WITH, members: [MEMBER] });
    assert.equal(publisher.streams[0]?.follower.signal.aborted, true);
    assert.equal(watcher.observation().members[0]?.publisher, undefined);
    watcher.setTargets(WITH);
    assert.equal(watcher.observation().members[0]?.publisher?.known, false);
    watcher.stop();
    assert.equal(publisher.streams[1]?.follower.signal.aborted, true);
  });
});
