import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import type { MemberObservation, ReplicaObservation } from '../../../src/domain/observation.ts';
import type { WatchedReplica, WatchedTargets, Watcher } from '../../../src/observe/watcher.ts';
import { createWatcher } from '../../../src/observe/watcher.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { type FakeVip, socketsTo, startFakeVip } from './proxy.ts';
import { createAccount, follow, LOOK_GRANTS, PASSWORD, REPLICA_GRANTS, targetOf } from './servers.ts';

await enterSandbox();
const INTERVAL_MS = 250;
const TIMEOUT_MS = 500;
/** What is promised (contract.md), in ms. */
const DETECTION_MS = 2 * INTERVAL_MS + TIMEOUT_MS + 1_000;
const REPLICA_IP = '127.0.0.9';

describe('the watcher of one resource', { timeout: 180_000 }, () => {
  let a: MariaDbServer;
  let b: MariaDbServer;
  let replica: MariaDbServer;
  let vip: FakeVip;
  let watcher: Watcher;
  let changes = 0;
  const pod: WatchedReplica = { pod: 'orders-0', podUid: 'u1', ip: REPLICA_IP, podReady: true, labelledServing: false };

  before(async () => {
    const log = { 'log-slave-updates': true };
    [a, b, replica] = await Promise.all([
      startMariaDb({ name: 'a', serverId: 1, server: log }),
      startMariaDb({ name: 'b', serverId: 1, server: log }),
      startMariaDb({ name: 'orders-0', serverId: 21, host: REPLICA_IP, server: log }),
    ]);
    for (const server of [a, b]) {
      await createAccount(server, 'mxr_look', LOOK_GRANTS);
      await createAccount(server, 'repl', 'REPLICATION SLAVE');
    }
    await createAccount(replica, 'mxr_replica', REPLICA_GRANTS);
    await a.sql('CREATE DATABASE d; CREATE TABLE d.t (a INT)');
    await follow(replica, a);
    vip = await startFakeVip(a.port);
  });
  beforeEach(async () => {
    changes = 0;
    vip.lead(a.port);
    watcher = createWatcher({
      targets: targets(),
      probeIntervalMs: INTERVAL_MS,
      probeTimeoutMs: TIMEOUT_MS,
      connect: connectSql,
      clock: systemClock,
      onChange: () => (changes += 1),
    });
    watcher.setReplicas([pod]);
    await until('everything is known', () => allKnown() && holder() === 'a');
    await quiet();
  });
  afterEach(() => watcher.stop());
  after(async () => {
    await Promise.all([a, b, replica].map((server) => server.stop()));
    await vip.close();
  });

  function targets(overrides: { password?: string } = {}): WatchedTargets {
    const { user, tls } = targetOf(replica, 'mxr_replica');
    return {
      vip: { ...targetOf(a, 'mxr_look'), name: 'the VIP', host: vip.host, port: vip.port },
      members: [a, b].map((server) => ({ name: server.name, match: null, target: targetOf(server, 'mxr_look') })),
      replica: { user, tls, port: replica.port, password: PASSWORD, ...overrides },
    };
  }

  function member(name: string): MemberObservation {
    const found = watcher.observation().members.find((one) => one.name === name);
    assert.ok(found !== undefined);
    return found;
  }

  function onlyReplica(): ReplicaObservation {
    const [found, another] = watcher.observation().replicas;
    assert.ok(found !== undefined && another === undefined);
    return found;
  }

  function allKnown(): boolean {
    const {
      vip: { look },
      members,
      replicas,
    } = watcher.observation();
    return look.known && [...members, ...replicas].every((one) => one.look.known) && replicas.length === 1;
  }

  /** As the domain finds it: the member whose live lock the VIP session sees. */
  function holder(): string | undefined {
    const {
      vip: { look },
      members,
    } = watcher.observation();
    return members.find(
      (one) => one.lockHeldBy !== null && look.known && look.value.lockOwners[one.name] === one.lockHeldBy,
    )?.name;
  }

  /** Nothing changes for some intervals. */
  async function quiet(): Promise<void> {
    let seen = -1;
    await until(
      'nothing changes any more',
      () => {
        const same = seen === changes;
        seen = changes;
        return same;
      },
      { intervalMs: 3 * INTERVAL_MS },
    );
  }

  /** When each look began: the VIP's, the members', the replica's. */
  function looks(): number[] {
    const {
      vip: { look },
      members,
      replicas,
    } = watcher.observation();
    return [look, ...[...members, ...replicas].map((one) => one.look)].map(({ at }) => at);
  }

  async function quietFor(ms: number): Promise<boolean> {
    const before = looks();
    await new Promise((resolve) => {
      setTimeout(resolve, ms);
    });
    return looks().join() === before.join();
  }

  async function within(what: string, check: () => boolean): Promise<void> {
    await until(what, check, { deadlineMs: DETECTION_MS, intervalMs: 5 });
  }

  function failsWith(look: { known: boolean; code?: string }, code: ErrorCode): boolean {
    return !look.known && look.code === code;
  }

  test('calm tells nothing, although positions move at each look', async () => {
    const before = changes;
    const looked = member('a').look.at;
    await a.sql('INSERT INTO d.t VALUES (1), (2)');
    await until('some looks later', () => member('a').look.at > looked + 4 * INTERVAL_MS);
    assert.equal(changes, before);
  });

  test('fast looks come every few ms and tell positions; calm looks do not overlap either', async () => {
    watcher.setPace('fast', { members: new Set(['a']), pods: new Set([onlyReplica().pod]) });
    const looked = member('a').look.at;
    await until('a look soon', () => member('a').look.at > looked);
    await until(
      '20 looks',
      async () => {
        for (let round = 0; round < 20; round += 1) {
          const at = onlyReplica().look.at;
          await until('the next look', () => onlyReplica().look.at > at, { deadlineMs: 1_000, intervalMs: 1 });
        }
        return true;
      },
      { deadlineMs: 5_000 },
    );
    const before = changes;
    await a.sql('INSERT INTO d.t VALUES (3)');
    await until('the new position is told', () => changes > before);
    assert.ok(socketsTo(replica.port) <= 1, 'one session');
    watcher.setPace('calm');
  });

  test('a move is told by the VIP alone', async () => {
    vip.lead(b.port);
    const before = changes;
    await within('the holder is b', () => holder() === 'b');
    assert.ok(changes > before);
  });

  test('a replica whose link stops is told', async () => {
    const before = changes;
    await replica.sql('STOP SLAVE IO_THREAD');
    await within('it is told', () => changes > before);
    const { look } = onlyReplica();
    assert.equal(look.known && look.value.links[0]?.io, 'No');
    await replica.sql('START SLAVE IO_THREAD');
    await within('it is seen again', () => {
      const now = onlyReplica().look;
      return now.known && now.value.links[0]?.io === 'Yes';
    });
  });

  test('a look asked for began after the call, for each named target; an unknown name is not waited for', async () => {
    const asked = performance.now();
    await watcher.lookNow({ vip: true, members: ['a', 'b', 'nobody'], replicas: ['orders-0', 'orders-7'] }, 5_000);
    const {
      vip: { look },
      members,
      replicas,
    } = watcher.observation();
    for (const fact of [look, ...[...members, ...replicas].map((one) => one.look)])
      assert.ok(fact.known && fact.at >= asked);
    assert.ok(performance.now() - asked < 2_000);
  });

  test('binlog files are as new as asked for', async () => {
    await a.sql('FLUSH BINARY LOGS');
    await watcher.lookNow({ members: ['a'], files: true }, 5_000);
    const { look } = member('a');
    assert.ok(look.known && look.value.end !== null);
    assert.equal(look.value.files.at(-1)?.name, look.value.end.file);
  });

  test('a member that dies is noticed in a moment, restarts as a new incarnation, and holds its lock again', async () => {
    const before = member('b').incarnation;
    await b.kill9();
    await until('it is refused', () => failsWith(member('b').look, 'ConnectionRefused'), {
      deadlineMs: 1_000,
      intervalMs: 2,
    });
    assert.equal(member('b').lockHeldBy, null);
    await b.start();
    await within('it is back', () => member('b').look.known && member('b').lockHeldBy !== null);
    assert.ok(member('b').incarnation > before);
  });

  test('one frozen member holds no other look up', async () => {
    await b.freeze();
    await within('it is unknown', () => failsWith(member('b').look, 'Deadline'));
    const looked = member('a').look.at;
    await within('the other goes on', () => member('a').look.at > looked + 2 * INTERVAL_MS && holder() === 'a');
    assert.ok(socketsTo(b.port) <= 1);
    b.thaw();
    await within('it is back', () => member('b').look.known);
  });

  test('a member that cannot be reached directly but answers behind the VIP is seen through it', async () => {
    const unreachable = targets();
    const [first, second] = unreachable.members;
    assert.ok(first !== undefined && second !== undefined);
    const target = { ...first.target, port: 1 };
    watcher.setTargets({ ...unreachable, members: [{ ...first, target }, second] });
    await within('it is unknown', () => failsWith(member('a').look, 'ConnectionRefused'));
    await within('the VIP session looks fully', () => {
      const { look } = watcher.observation().vip;
      return look.known && look.value.look?.identity.port === a.port;
    });
    const { look } = watcher.observation().vip;
    assert.ok(look.known && look.value.look !== null);
    assert.equal(look.value.look.dumps?.length, 1);
    assert.ok(look.value.look.files.length > 0);
  });

  test('changed credentials are used at once, and wrong ones say so', async () => {
    const { incarnation } = onlyReplica();
    watcher.setTargets(targets({ password: 'wrong' }));
    await within('they are refused', () => failsWith(onlyReplica().look, 'AccessDenied'));
    watcher.setTargets(targets());
    await within('they are right again', () => onlyReplica().look.known);
    assert.equal(onlyReplica().incarnation, incarnation, 'the server is still the same');
  });

  test('a pod that is made anew under the same name and address is another server, under a number of its own', async () => {
    const before = onlyReplica().incarnation;
    watcher.setReplicas([{ ...pod, podUid: 'u2' }]);
    assert.deepEqual([onlyReplica().look.known, onlyReplica().incarnation], [false, 0]);
    await within('it is looked at', () => onlyReplica().look.known);
    assert.ok(onlyReplica().incarnation > before);
  });

  test('a changed interval applies at once to the sessions that are there', async () => {
    const { lockHeldBy } = member('a');
    watcher.setTiming({ probeIntervalMs: 600_000, probeTimeoutMs: TIMEOUT_MS });
    await until('the last looks have ended', () => quietFor(3 * INTERVAL_MS));
    const before = looks();
    watcher.setTiming({ probeIntervalMs: INTERVAL_MS, probeTimeoutMs: TIMEOUT_MS });
    await until('all look again', () => looks().every((at, index) => at > (before[index] ?? 0)));
    assert.equal(member('a').lockHeldBy, lockHeldBy);
  });

  test('a pod without an address is listed and not asked; one that is gone is not listed', async () => {
    watcher.setReplicas([{ ...pod, ip: null }]);
    const { look, ip } = onlyReplica();
    assert.deepEqual([look.known, ip], [false, null]);
    watcher.setReplicas([]);
    assert.deepEqual(watcher.observation().replicas, []);
    await until('its session is gone', async () => {
      const [row] = await replica.sql(`SELECT 1 FROM information_schema.PROCESSLIST WHERE USER = 'mxr_replica'`);
      return row === undefined;
    });
  });

  test('after the stop every socket is gone and nothing is told', async () => {
    watcher.stop();
    const before = changes;
    await until('the sockets are gone', () => socketsTo(vip.port) === 0 && socketsTo(b.port) === 0);
    await watcher.lookNow({ vip: true, members: ['a'], replicas: ['orders-0'] }, 1_000);
    assert.equal(changes, before);
  });
});
