import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { known, unknown } from '../../../src/domain/fact.ts';
import type { Observation } from '../../../src/domain/observation.ts';
import type { AcceptInput, Acceptance } from '../../../src/operator/accept/accept.ts';
import { createAcceptor } from '../../../src/operator/accept/accept.ts';
import { createSecrets } from '../../../src/ops/secrets.ts';
import { until } from '../../support/wait.ts';
import type { Sample } from '../api/sample.ts';
import { calmPair } from '../domain/pair-fixture.ts';
import { failure, FakeSecrets, FakeServers, podOf, resourceOf } from './accept-fixture.ts';
import type { ResourceChange } from './accept-fixture.ts';

const KEY = 'default/orders';
const DETECTION = { probeIntervalMs: 100, probeTimeoutMs: 200 };

/** Passes whenever the acceptor says that something changed, as the operator's queue does. */
class Passes {
  readonly kube = new FakeSecrets();
  readonly servers = new FakeServers();
  readonly names = new Map<string, string>();
  input: AcceptInput;
  answer: Acceptance = { ok: false, reason: 'NotLookedYet', message: '' };
  readonly answers: Acceptance[] = [];
  changes = 0;
  readonly #acceptor;

  constructor(t: TestContext, change: ResourceChange = {}) {
    const ending = new AbortController();
    t.after(() => ending.abort());
    this.input = { resource: this.resource(change), pods: [podOf('orders-0')], others: [], observation: null };
    this.#acceptor = createAcceptor({
      kube: this.kube,
      connect: this.servers.connect,
      clock: systemClock,
      secrets: createSecrets(),
      signal: ending.signal,
      lookup: async (host) => {
        const address = this.names.get(host);
        if (address === undefined) throw Object.assign(new Error('no such host'), { code: 'ENOTFOUND' });
        return { address };
      },
      onChange: (key) => {
        assert.equal(key, KEY);
        this.changes += 1;
        this.pass();
      },
    });
  }

  resource(change: ResourceChange = {}) {
    const spec = (sample: Sample): void => {
      sample['detection'] = DETECTION;
      change.spec?.(sample);
    };
    return resourceOf({ ...change, spec });
  }

  pass(change: Partial<AcceptInput> = {}): Acceptance {
    this.input = { ...this.input, ...change };
    this.answer = this.#acceptor.check({ ...this.input, key: KEY });
    this.answers.push(this.answer);
    return this.answer;
  }

  forget(): void {
    this.#acceptor.forget(KEY);
  }

  async refused(reason: string, message: RegExp): Promise<void> {
    this.pass();
    await until(
      `refused with ${reason}, not ${JSON.stringify(this.answer).slice(0, 300)}`,
      () => {
        const refusal = refusalOf(this.answer);
        return refusal?.reason === reason && message.test(refusal.message);
      },
      { deadlineMs: 5_000, intervalMs: 5 },
    );
  }

  async accepted(): Promise<Extract<Acceptance, { ok: true }>> {
    this.pass();
    await until('accepted', () => refusalOf(this.answer) === null, { deadlineMs: 5_000, intervalMs: 5 });
    assert.ok(this.answer.ok);
    return this.answer;
  }

  /** The looks as the watcher would have them now, with one of them failing. */
  looks(failing: 'vip' | 'a' | 'none', code: string): Observation {
    const now = systemClock.monotonicMs();
    const calm = calmPair().observation;
    const failed = unknown(code, 'said the server', now);
    return {
      ...calm,
      now,
      vip: { ...calm.vip, look: failing === 'vip' ? failed : known(null as never, now) },
      members: calm.members.map((member, index) => ({
        ...member,
        name: index === 0 ? 'hci-a' : 'hci-b',
        look: failing === 'a' && index === 0 ? failed : known(null as never, now),
      })),
    };
  }
}

function refusalOf(answer: Acceptance): { readonly reason: string; readonly message: string } | null {
  return answer.ok ? answer.refused : answer;
}

function reasonOf(answer: Acceptance): string {
  return refusalOf(answer)?.reason ?? 'Accepted';
}

describe('accepting a resource', () => {
  it('answers at once, then with everything that was found', async (t) => {
    const passes = new Passes(t);
    const first = passes.pass();
    assert.ok(!first.ok && first.reason === 'NotLookedYet');
    const { targets, replication, pods } = await passes.accepted();
    assert.deepEqual(replication, { user: 'repl', password: 'repl-password' });
    assert.deepEqual(
      targets.members.map(({ name, target }) => [name, target.host, target.user]),
      [
        ['hci-a', '10.0.0.11', 'look'],
        ['hci-b', '10.0.0.12', 'look'],
      ],
    );
    assert.equal(targets.vip.host, '10.0.0.100');
    assert.equal(targets.replica.password, 'replica-password');
    assert.deepEqual(
      pods.map(({ pod, ip }) => [pod, ip]),
      [['orders-0', '10.1.0.1']],
    );
  });

  it('asks nothing again while nothing changes', async (t) => {
    const passes = new Passes(t);
    await passes.accepted();
    const [reads, logins] = [passes.kube.reads, passes.servers.logins.length];
    const before = passes.answer;
    for (let count = 0; count < 50; count += 1) assert.deepEqual(passes.pass(), before);
    await new Promise((resolve) => setTimeout(resolve, 3 * DETECTION.probeIntervalMs));
    assert.deepEqual([passes.kube.reads, passes.servers.logins.length], [reads, logins]);
  });

  it('goes on with what a process before it had accepted, before the accounts are checked', async (t) => {
    const at = new Date(0).toISOString();
    const accepted = {
      type: 'Accepted',
      status: 'True',
      reason: 'Accepted',
      message: '',
      observedGeneration: 1,
      lastTransitionTime: at,
    };
    const passes = new Passes(t, { status: { conditions: [accepted] } });
    passes.servers.servers.set('member hci-a', failure('AccessDenied'));
    passes.pass();
    const first = await until('an answer that is not waiting', () => {
      return passes.answers.find((one) => one.ok || one.reason !== 'NotLookedYet');
    });
    assert.ok(first.ok);
    await passes.refused('AccessDenied', /hci-a/);
  });

  const names: readonly (readonly [
    what: string,
    change: (passes: Passes) => void,
    cure: (passes: Passes) => void,
    reason: string,
    message: RegExp,
  ])[] = [
    [
      'a Secret that does not exist',
      ({ kube }) => kube.answers.delete('orders-replica'),
      ({ kube }) => kube.answers.set('orders-replica', { username: 'u', password: 'p' }),
      'SecretMissing',
      /Secret orders-replica \(replicas\.credentials\) does not exist; create it with username, password/,
    ],
    [
      'a key that is empty',
      ({ kube }) => kube.answers.set('orders-replica', { username: 'u', password: '' }),
      ({ kube }) => kube.answers.set('orders-replica', { username: 'u', password: 'p' }),
      'SecretKeyMissing',
      /Secret orders-replica \(replicas\.credentials\) lacks password/,
    ],
    [
      'an account that a server refuses, cured on the server',
      ({ servers }) => servers.servers.set('replica orders-0', failure('AccessDenied')),
      ({ servers }) => servers.servers.delete('replica orders-0'),
      'AccessDenied',
      /replica orders-0 \(10\.1\.0\.1:3306\) refuses the account 'replica' of Secret orders-replica/,
    ],
    [
      'TLS that does not fit',
      ({ servers }) => servers.servers.set('member hci-b', failure('TlsRefused')),
      ({ servers }) => servers.servers.delete('member hci-b'),
      'TlsRefused',
      /member hci-b .*correct source\.tls/,
    ],
    [
      'a server that is not MariaDB',
      ({ servers }) => servers.servers.set('member hci-b', { version: '8.0.36' }),
      ({ servers }) => servers.servers.delete('member hci-b'),
      'UnsupportedServer',
      /member hci-b .* is 8\.0\.36; mxr follows MariaDB 10\.5 or later/,
    ],
    [
      'a server that is too old',
      ({ servers }) => servers.servers.set('replica orders-0', { version: '10.4.34-MariaDB-log' }),
      ({ servers }) => servers.servers.delete('replica orders-0'),
      'UnsupportedServer',
      /replica orders-0 .* is 10\.4\.34-MariaDB-log/,
    ],
    [
      'a grant that is missing',
      ({ servers }) =>
        servers.servers.set('member hci-a', {
          grants: [{ Grants: 'GRANT REPLICATION SLAVE, BINLOG MONITOR, SLAVE MONITOR ON *.* TO `look`@`%`' }],
        }),
      ({ servers }) => servers.servers.delete('member hci-a'),
      'GrantMissing',
      /'look'@'%' of Secret orders-source lacks PROCESS on member hci-a .*GRANT PROCESS ON \*\.\* TO 'look'@'%';/,
    ],
  ];
  for (const [what, breaks, cures, reason, message] of names) {
    it(`refuses ${what}, and accepts once it is cured`, async (t) => {
      const passes = new Passes(t);
      breaks(passes);
      await passes.refused(reason, message);
      cures(passes);
      await until('accepted', () => passes.answer.ok, { deadlineMs: 5_000 });
    });
  }

  it('refuses a host that does not resolve, and gives MariaDB an address once it does', async (t) => {
    const passes = new Passes(t, { spec: ({ source }) => (source.vip.host = 'orders.db') });
    await passes.refused('HostUnresolved', /orders\.db \(the VIP\) does not resolve \(ENOTFOUND\)/);
    passes.names.set('orders.db', '10.0.0.100');
    await until('accepted', () => passes.answer.ok, { deadlineMs: 5_000 });
    assert.equal(passes.answer.ok && passes.answer.targets.vip.host, '10.0.0.100');
  });

  it('refuses a selector that matches nothing until a pod comes', async (t) => {
    const passes = new Passes(t);
    passes.pass({ pods: [] });
    await passes.refused('NoReplicaSelected', /matches no pod/);
    passes.pass({ pods: [podOf('orders-0')] });
    await until('accepted', () => passes.answer.ok, { deadlineMs: 5_000 });
  });

  it('asks no server of a pod that another resource selects too', async (t) => {
    const passes = new Passes(t);
    passes.pass({ others: [resourceOf({ name: 'other' })] });
    await passes.refused('SelectedTwice', /also selected by default\/other/);
    await until('the members were asked', () => passes.servers.loginsAt('member hci-a') > 0, { deadlineMs: 5_000 });
    assert.equal(passes.servers.loginsAt('replica orders-0'), 0);
    passes.pass({ others: [] });
    await until('accepted', () => passes.answer.ok, { deadlineMs: 5_000 });
    assert.ok(passes.servers.loginsAt('replica orders-0') > 0);
  });

  it('sees a pod whose labels changed, and another resource whose selector changed', async (t) => {
    const passes = new Passes(t);
    await passes.accepted();
    const elsewhere = podOf('orders-0', { labels: { app: 'else' } });
    assert.equal(reasonOf(passes.pass({ pods: [elsewhere] })), 'NoReplicaSelected');
    const apart = ({ replicas }: Sample) => (replicas['selector'] = { matchLabels: { app: 'apart' } });
    passes.pass({ pods: [podOf('orders-0')], others: [resourceOf({ name: 'other', spec: apart })] });
    await passes.accepted();
    const alike = resourceOf({ name: 'other', generation: 2 });
    assert.equal(reasonOf(passes.pass({ others: [alike] })), 'SelectedTwice');
  });

  it('says nothing against a resource whose Secrets cannot be asked for', async (t) => {
    const passes = new Passes(t);
    passes.kube.answers.set('orders-source', failure('KubeForbidden'));
    await passes.refused('NotLookedYet', /whether Secret orders-source exists is not known/);
  });

  it('tells the first of several findings in the order of the contract', async (t) => {
    const passes = new Passes(t);
    passes.servers.servers.set('member hci-a', { grants: [] });
    passes.servers.servers.set('member hci-b', { version: '8.0.36' });
    passes.servers.servers.set('replica orders-0', failure('AccessDenied'));
    await passes.refused('AccessDenied', /orders-0/);
    passes.servers.servers.delete('replica orders-0');
    await passes.refused('UnsupportedServer', /hci-b/);
    passes.kube.answers.delete('orders-source');
    await passes.refused('SecretMissing', /orders-source/);
  });

  it('does not mind a server that cannot be asked, and asks it once the looks reach it', async (t) => {
    const passes = new Passes(t);
    passes.servers.servers.set('member hci-b', failure('ConnectionRefused'));
    await passes.accepted();
    passes.servers.servers.set('member hci-b', failure('AccessDenied'));
    await new Promise((resolve) => setTimeout(resolve, 2 * DETECTION.probeIntervalMs));
    passes.pass({ observation: passes.looks('none', '') });
    await passes.refused('AccessDenied', /hci-b/);
  });

  it('asks the VIP where a member cannot be asked directly', async (t) => {
    const passes = new Passes(t);
    for (const member of ['member hci-a', 'member hci-b']) passes.servers.servers.set(member, failure('Deadline'));
    passes.servers.servers.set('the VIP', failure('AccessDenied'));
    await passes.refused('AccessDenied', /the VIP \(10\.0\.0\.100:3306\) refuses the account 'look'/);
  });
});

describe('a resource that was accepted', () => {
  it('is checked again, Secrets included, as soon as a look is refused', async (t) => {
    const passes = new Passes(t);
    await passes.accepted();
    const reads = passes.kube.reads;
    passes.servers.servers.set('member hci-a', failure('AccessDenied'));
    passes.pass({ observation: passes.looks('a', 'AccessDenied') });
    await passes.refused('AccessDenied', /hci-a/);
    assert.ok(passes.kube.reads > reads);
    assert.ok(passes.answer.ok, 'what was accepted goes on');
  });

  it('takes the new password of a Secret although the looks still fail with the old one', async (t) => {
    const passes = new Passes(t);
    await passes.accepted();
    passes.servers.servers.set('member hci-a', failure('AccessDenied'));
    passes.pass({ observation: passes.looks('a', 'AccessDenied') });
    await passes.refused('AccessDenied', /hci-a/);
    passes.servers.servers.delete('member hci-a');
    const source = { username: 'look', password: 'new', replicationUsername: 'repl', replicationPassword: 'r' };
    passes.kube.answers.set('orders-source', source);
    const { targets } = await passes.accepted();
    assert.equal(targets.members[0]?.target.password, 'new');
  });

  for (const [what, breaks] of [
    ['a Secret that is gone', (passes) => passes.kube.answers.delete('orders-source')],
    ['a Secret without a key', (passes) => passes.kube.answers.set('orders-source', { username: 'look' })],
    [
      'a Secret with a wrong password',
      (passes) => {
        const wrong = { username: 'look', password: 'wrong', replicationUsername: 'repl', replicationPassword: 'r' };
        passes.kube.answers.set('orders-source', wrong);
        passes.servers.servers.set('member hci-a', failure('AccessDenied'));
      },
    ],
  ] as const satisfies readonly (readonly [string, (passes: Passes) => unknown])[]) {
    it(`goes on with the accounts that worked after ${what}, until other pods are selected`, async (t) => {
      const passes = new Passes(t);
      const { targets, replication } = await passes.accepted();
      breaks(passes);
      passes.pass({ observation: passes.looks('a', 'AccessDenied') });
      await until('refused', () => refusalOf(passes.answer) !== null, { deadlineMs: 5_000 });
      const going = passes.answer;
      assert.ok(going.ok);
      assert.deepEqual([going.targets, going.replication], [targets, replication]);
      assert.ok(!passes.pass({ pods: [] }).ok, 'nothing is selected any more');
      assert.ok(passes.pass({ pods: [podOf('orders-0')] }).ok);
    });
  }

  it('goes on when the process before it was already refused, for it had followed', async (t) => {
    const baseline = {
      by: 'Handover',
      member: 'hci-a',
      lineage: 'l',
      gtid: '0-1-1',
      contains: '',
      at: new Date(0).toISOString(),
    };
    const base = {
      pod: 'orders-0',
      verdict: 'Following',
      reason: 'Following',
      message: '',
      ready: true,
      serving: true,
    };
    const replica = { ...base, since: new Date(0).toISOString(), gtid: '', baseline };
    const passes = new Passes(t, { status: { replicas: [replica] } });
    passes.servers.servers.set('member hci-b', failure('AccessDenied'));
    await passes.refused('AccessDenied', /hci-b/);
    assert.ok(passes.answer.ok);
  });

  it('is looked at as before until what is new was tried', async (t) => {
    const passes = new Passes(t);
    const { targets } = await passes.accepted();
    for (const name of ['member hci-a', 'member hci-b']) passes.servers.servers.set(name, failure('TlsRefused'));
    const required = (spec: Sample): void => void (spec.source['tls'] = { mode: 'Required' });
    passes.answers.length = 0;
    passes.pass({ resource: passes.resource({ generation: 2, spec: required }) });
    await passes.refused('TlsRefused', /hci-a/);
    for (const answer of passes.answers) if (answer.ok) assert.deepEqual(answer.targets, targets);
    passes.servers.servers.clear();
    assert.equal((await passes.accepted()).targets.vip.tls.mode, 'Required');
  });

  it('is not given up for a server or an API server that does not answer any more', async (t) => {
    const passes = new Passes(t);
    await passes.accepted();
    for (const name of ['orders-source', 'orders-replica']) passes.kube.answers.set(name, failure('KubeUnavailable'));
    passes.servers.servers.set('member hci-a', failure('ConnectionLost'));
    const logins = passes.servers.loginsAt('member hci-a');
    passes.pass({ observation: passes.looks('a', 'AccessDenied') });
    await until('asked again', () => passes.servers.loginsAt('member hci-a') > logins, { deadlineMs: 5_000 });
    assert.ok(passes.pass().ok);
  });

  it('goes on with its replicas when a new pod refuses the account', async (t) => {
    const passes = new Passes(t);
    await passes.accepted();
    passes.servers.servers.set('replica orders-1', { grants: [] });
    const answer = passes.pass({ pods: [podOf('orders-0'), podOf('orders-1', { ip: '10.1.0.2' })] });
    assert.ok(answer.ok && answer.pods.length === 2);
    await until('the new pod was asked', () => passes.servers.loginsAt('replica orders-1') > 0, { deadlineMs: 5_000 });
    assert.ok(passes.pass().ok);
  });

  it('has a new spec judged anew', async (t) => {
    const passes = new Passes(t);
    await passes.accepted();
    const spec = ({ replicas }: Sample) => (replicas['credentials'] = { secretName: 'another' });
    passes.pass({ resource: passes.resource({ generation: 2, spec }) });
    await passes.refused('SecretMissing', /Secret another/);
    const asks = (sample: Sample) => (sample['policy'] = { onGap: 'Reseed' });
    const refused = passes.pass({ resource: passes.resource({ generation: 3, spec: asks }) });
    assert.ok(!refused.ok && refused.reason === 'NotImplemented');
  });

  it('asks nobody anything while it asks for what does not exist', async (t) => {
    const passes = new Passes(t);
    passes.servers.servers.set('member hci-a', failure('AccessDenied'));
    await passes.refused('AccessDenied', /hci-a/);
    const asks = (sample: Sample) => (sample['policy'] = { onGap: 'Reseed' });
    passes.pass({ resource: passes.resource({ generation: 2, spec: asks }) });
    await new Promise((resolve) => setTimeout(resolve, DETECTION.probeIntervalMs));
    const logins = passes.servers.logins.length;
    await new Promise((resolve) => setTimeout(resolve, 3 * DETECTION.probeIntervalMs));
    assert.equal(passes.servers.logins.length, logins);
  });

  it('is asked for no more once it is gone', async (t) => {
    const passes = new Passes(t);
    passes.servers.servers.set('member hci-a', failure('AccessDenied'));
    await passes.refused('AccessDenied', /hci-a/);
    passes.forget();
    await new Promise((resolve) => setTimeout(resolve, DETECTION.probeIntervalMs));
    const logins = passes.servers.logins.length;
    await new Promise((resolve) => setTimeout(resolve, 3 * DETECTION.probeIntervalMs));
    assert.equal(passes.servers.logins.length, logins);
  });
});
