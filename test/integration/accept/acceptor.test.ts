import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { Watcher } from '../../../src/observe/watcher.ts';
import { createWatcher } from '../../../src/observe/watcher.ts';
import type { Acceptance, Acceptor } from '../../../src/operator/accept/accept.ts';
import { createAcceptor } from '../../../src/operator/accept/accept.ts';
import { createSecrets } from '../../../src/ops/secrets.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import { grantsOf } from '../../support/accounts-page.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import type { Sample } from '../../unit/api/sample.ts';
import { FakeSecrets, podOf, resourceOf } from '../../unit/operator/accept-fixture.ts';

await enterSandbox();

const PROBE_INTERVAL_MS = 250;
const PROBE_TIMEOUT_MS = 500;
/** The promise of the contract, and what a busy machine may add. */
const BOUND_MS = 2 * PROBE_INTERVAL_MS + PROBE_TIMEOUT_MS + 1_000;
const SLACK_MS = 2_000;
const LOOK = grantsOf('mxr_look').join(', ');
const REPLICA = grantsOf('mxr_replica').join(', ');

describe('accepting a resource over real servers', { timeout: 180_000 }, () => {
  let member: MariaDbServer;
  let replica: MariaDbServer;
  let kube: FakeSecrets;
  let passes: Passes;

  before(async () => {
    member = await startMariaDb({ name: 'member', server: { 'bind-address': '*' } });
    replica = await startMariaDb({ name: 'replica' });
    await member.sql(
      "CREATE USER look@'%' IDENTIFIED BY 'look-password'; CREATE USER repl@'%' IDENTIFIED BY 'repl-password'",
    );
    await replica.sql("CREATE USER replica@'%' IDENTIFIED BY 'replica-password'");
  });
  after(async () => {
    await member.stop();
    await replica.stop();
  });
  beforeEach(async () => {
    await member.sql("SET PASSWORD FOR look@'%' = PASSWORD('look-password')");
    await member.sql(`GRANT ${LOOK} ON *.* TO look@'%'; GRANT ${grantsOf('mxr_repl').join(', ')} ON *.* TO repl@'%'`);
    await replica.sql(`GRANT ${REPLICA} ON *.* TO replica@'%'`);
    kube = new FakeSecrets();
    passes = new Passes(member, replica, kube);
  });
  afterEach(() => passes.stop());

  it('accepts, and the looks then find their servers', async () => {
    await passes.becomes('Accepted');
    await until('every look has answered', () => passes.looksAnswer(), { deadlineMs: 10_000 });
  });

  it('refuses a missing grant, and accepts once it is given', async () => {
    await member.sql("REVOKE PROCESS ON *.* FROM look@'%'");
    const message = await passes.becomes('GrantMissing');
    assert.match(message, /'look'@'%' of Secret orders-source lacks PROCESS on member hci-a/);
    await member.sql(/: (GRANT .*;)$/.exec(message)?.[1] ?? message);
    await passes.becomes('Accepted');
  });

  it('refuses a password that is changed on a server that was accepted, cured there or in the Secret', async () => {
    await passes.becomes('Accepted');
    await until('every look has answered', () => passes.looksAnswer(), { deadlineMs: 10_000 });
    await member.sql("SET PASSWORD FOR look@'%' = PASSWORD('rotated')");
    const message = await passes.becomes('AccessDenied');
    assert.match(message, /(hci-a|the VIP) .* refuses the account 'look' of Secret orders-source/);
    assert.ok(!message.includes('look-password'));
    await member.sql("SET PASSWORD FOR look@'%' = PASSWORD('look-password')");
    await passes.becomes('Accepted');

    await member.sql("SET PASSWORD FOR look@'%' = PASSWORD('rotated')");
    await passes.becomes('AccessDenied');
    const source = {
      username: 'look',
      password: 'rotated',
      replicationUsername: 'repl',
      replicationPassword: 'repl-password',
    };
    kube.answers.set('orders-source', source);
    await passes.becomes('Accepted');
    await until('every look has answered', () => passes.looksAnswer(), { deadlineMs: 10_000 });
  });

  it('refuses a server that says it is not MariaDB', async () => {
    await replica.restart({ version: '8.0.36' });
    assert.match(await passes.becomes('UnsupportedServer'), /replica orders-0 .* is 8\.0\.36/);
    await replica.restart({ version: '10.11.6-MariaDB' });
    await passes.becomes('Accepted');
  });

  it('refuses TLS that a server does not have until the spec asks for less', async () => {
    passes.spec((spec) => (spec.source['tls'] = { mode: 'Required' }));
    assert.match(await passes.becomes('TlsRefused'), /hci-a .*correct source\.tls/);
    passes.spec(() => undefined);
    await passes.becomes('Accepted');
  });

  it('keeps what was accepted while a server is dead', async () => {
    await passes.becomes('Accepted');
    await until('every look has answered', () => passes.looksAnswer(), { deadlineMs: 10_000 });
    await replica.kill9();
    await until('the look at it has failed', () => !passes.looksAnswer(), { deadlineMs: 10_000 });
    assert.ok(passes.answer?.ok);
    await replica.start();
    await until('every look has answered', () => passes.looksAnswer(), { deadlineMs: 10_000 });
    assert.ok(passes.everySince('Accepted'));
  });
});

/** What the operator does with the acceptor: a pass every second and at every change, and a watcher once accepted. */
class Passes {
  readonly #member: MariaDbServer;
  readonly #replica: MariaDbServer;
  readonly #ending = new AbortController();
  readonly #acceptor: Acceptor;
  readonly #tick: NodeJS.Timeout;
  #change: (spec: Sample) => void = () => undefined;
  #generation = 1;
  #watcher: Watcher | null = null;
  #reasons: string[] = [];
  answer: Acceptance | null = null;

  constructor(member: MariaDbServer, replica: MariaDbServer, kube: FakeSecrets) {
    this.#member = member;
    this.#replica = replica;
    this.#acceptor = createAcceptor({
      kube,
      connect: connectSql,
      clock: systemClock,
      secrets: createSecrets(),
      signal: this.#ending.signal,
      onChange: () => this.#pass(),
    });
    this.#tick = setInterval(() => this.#pass(), 1_000);
    this.#pass();
  }

  spec(change: (spec: Sample) => void): void {
    this.#change = change;
    this.#generation += 1;
    this.#pass();
  }

  /** Resolves with the message once this is the answer, within the bound of the contract. */
  async becomes(reason: string): Promise<string> {
    this.#reasons = [];
    await until(`becomes ${reason} within the bound`, () => this.#reason() === reason, {
      deadlineMs: BOUND_MS + SLACK_MS,
      intervalMs: 10,
    }).catch((error: unknown) => {
      throw new Error(`it is ${JSON.stringify(this.#refusal() ?? 'accepted')}`, { cause: error });
    });
    this.#reasons = [];
    return this.#refusal()?.message ?? '';
  }

  looksAnswer(): boolean {
    const seen = this.#watcher?.observation();
    if (seen === undefined) return false;
    return [seen.vip, ...seen.members, ...seen.replicas].every(({ look }) => look.known);
  }

  /** Whether nothing else was answered since the last `becomes`. */
  everySince(reason: string): boolean {
    return this.#reasons.every((one) => one === reason);
  }

  stop(): void {
    clearInterval(this.#tick);
    this.#ending.abort();
    this.#watcher?.stop();
  }

  #reason(): string {
    if (this.answer === null) return 'none';
    return this.#refusal()?.reason ?? 'Accepted';
  }

  /** Why it is not accepted; what was accepted before may go on meanwhile. */
  #refusal(): { readonly reason: string; readonly message: string } | null {
    return this.answer?.ok === false ? this.answer : (this.answer?.refused ?? null);
  }

  #pass(): void {
    if (this.#ending.signal.aborted) return;
    const resource = resourceOf({
      generation: this.#generation,
      spec: (spec) => {
        spec.source.vip = { host: '127.0.0.1', port: this.#member.port };
        // Another address of the same server.
        spec.source.members = [{ name: 'hci-a', host: '127.0.0.2', port: this.#member.port }];
        spec.replicas['port'] = this.#replica.port;
        spec['detection'] = { probeIntervalMs: PROBE_INTERVAL_MS, probeTimeoutMs: PROBE_TIMEOUT_MS };
        this.#change(spec);
      },
    });
    const pods = [podOf('orders-0', { ip: '127.0.0.1' })];
    const observation = this.#watcher?.observation() ?? null;
    this.answer = this.#acceptor.check({ key: 'default/orders', resource, pods, others: [], observation });
    this.#reasons.push(this.#reason());
    if (!this.answer.ok) return;
    const { targets } = this.answer;
    const { probeIntervalMs, probeTimeoutMs } = resource.spec.detection;
    const timing = { probeIntervalMs, probeTimeoutMs };
    const onChange = (): void => void setImmediate(() => this.#pass());
    this.#watcher ??= createWatcher({ targets, ...timing, connect: connectSql, clock: systemClock, onChange });
    this.#watcher.setTargets(targets);
    this.#watcher.setReplicas(this.answer.pods);
  }
}
