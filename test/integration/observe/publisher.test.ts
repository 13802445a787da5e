import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { PublishedIdentity } from '../../../src/api/publisher.ts';
import { systemClock } from '../../../src/clock.ts';
import { findHolder } from '../../../src/domain/holder.ts';
import { lookAtServer } from '../../../src/observe/look.ts';
import type { WatchedMember, Watcher } from '../../../src/observe/watcher.ts';
import { createWatcher } from '../../../src/observe/watcher.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { startService, targetOf as publisherAt } from '../publisher/service.ts';
import type { Service } from '../publisher/service.ts';
import { type FakeVip, startFakeVip } from './proxy.ts';
import { createAccount, LOOK_GRANTS, targetOf } from './servers.ts';

await enterSandbox();
/** Nothing is seen by waiting for the next probe: what is seen at once has another cause. */
const INTERVAL_MS = 60_000;
const AT_ONCE_MS = 10_000;
const TIMEOUT_MS = 1_000;
/** Behind the cable of the VIP: packets to it are lost. */
const UNROUTED = '10.9.0.99';

describe('where only the VIP and the publishers are routed', { timeout: 120_000 }, () => {
  let servers: readonly [a: MariaDbServer, b: MariaDbServer];
  let vip: FakeVip;

  before(async () => {
    servers = await Promise.all([
      startMariaDb({ name: 'a', serverId: 1 }),
      startMariaDb({ name: 'b', serverId: 2, server: { 'read-only': true } }),
    ]);
    for (const server of servers) await createAccount(server, 'mxr_look', LOOK_GRANTS);
    vip = await startFakeVip(servers[0].port);
  });
  after(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await vip.close();
  });

  async function identityOf(server: MariaDbServer): Promise<PublishedIdentity> {
    const session = await connectSql(targetOf(server, 'mxr_look'), { deadlineMs: 5_000 });
    const how = { clock: systemClock, deadlineMs: 5_000, files: false, previousFiles: [] };
    const { identity } = await lookAtServer(session, how);
    session.destroy();
    return { ...identity, startedAt: new Date(identity.startedAt).toISOString(), machineId: '', datadirId: '' };
  }

  /** A publisher's server, over HTTP, that says this of its host. */
  async function publisherOf(t: TestContext, server: MariaDbServer, vipHeld: boolean): Promise<Service> {
    const service = await startService(t);
    const identity = await identityOf(server);
    service.change({ member: server.name, identity, vipHeld, readOnly: !vipHeld, monotonicAgeMs: 0 });
    return service;
  }

  function watch(t: TestContext, publishers: readonly Service[]): Watcher {
    const members = servers.map((server, index): WatchedMember => {
      const target = { ...targetOf(server, 'mxr_look'), host: UNROUTED };
      const publisher = publishers[index];
      const shared = { name: server.name, match: null, target };
      return publisher === undefined ? shared : { ...shared, publisher: publisherAt(publisher) };
    });
    const replica = targetOf(servers[0], 'mxr_look');
    const watcher = createWatcher({
      targets: { vip: { ...replica, name: 'the VIP', host: vip.host, port: vip.port }, members, replica },
      probeIntervalMs: INTERVAL_MS,
      probeTimeoutMs: TIMEOUT_MS,
      connect: connectSql,
      clock: systemClock,
      onChange: () => undefined,
    });
    t.after(() => watcher.stop());
    return watcher;
  }

  function holder(watcher: Watcher): string {
    const found = findHolder(watcher.observation(), { members: new Map(), replicas: new Map() });
    return found.kind === 'Found' ? `${found.holder.member.name} by ${found.holder.knownBy}` : found.kind;
  }

  async function holderIs(watcher: Watcher, wanted: string): Promise<void> {
    await until(`the holder is ${wanted}`, () => holder(watcher) === wanted, { deadlineMs: AT_ONCE_MS, intervalMs: 5 });
  }

  test('the publishers tell who holds the VIP, and their events that it has moved, at once', async (t) => {
    vip.lead(servers[0].port);
    const [ofA, ofB] = [await publisherOf(t, servers[0], true), await publisherOf(t, servers[1], false)];
    const watcher = watch(t, [ofA, ofB]);
    await holderIs(watcher, 'a by Publisher');
    vip.lead(servers[1].port);
    ofA.change({ vipHeld: false });
    ofB.change({ vipHeld: true });
    await holderIs(watcher, 'b by Publisher');
  });

  test('without them nobody can tell', async (t) => {
    const watcher = watch(t, []);
    await until('the VIP answers', () => watcher.observation().vip.look.known);
    assert.equal(holder(watcher), 'NoneOfTheMembers');
  });

  test('a token that is refused is a fact like any other failure, and shows no token', async (t) => {
    const ofA = await publisherOf(t, servers[0], true);
    ofA.setToken('another-token');
    const watcher = watch(t, [ofA]);
    const fact = () => watcher.observation().members[0]?.publisher;
    await until('it was refused', () => fact()?.known === false && watcher.observation().vip.look.known);
    const told = fact();
    assert.ok(told?.known === false && told.code === 'AccessDenied', JSON.stringify(told));
    assert.ok(!told.why.includes(publisherAt(ofA).token ?? ''));
  });
});
