import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { Clock } from '../../../src/clock.ts';
import { createResolver } from '../../../src/operator/accept/resolve.ts';
import { createSecretCache } from '../../../src/operator/accept/secrets.ts';
import { failure, FakeSecrets } from './accept-fixture.ts';

const SOURCE = { namespace: 'default', name: 'orders-source' };

class FakeClock implements Clock {
  now = 0;
  monotonicMs(): number {
    return this.now;
  }
  wallMs(): number {
    return this.now;
  }
}

function secretCache() {
  const kube = new FakeSecrets();
  const clock = new FakeClock();
  const hidden: string[] = [];
  const signal = new AbortController().signal;
  const cache = createSecretCache({ kube, clock, maxAgeMs: 1000, signal, onSecret: (value) => hidden.push(value) });
  return { kube, clock, hidden, cache };
}

describe('the cache of Secrets', () => {
  it('asks once for all who need it, again after the age, and at once when it must be fresh', async () => {
    const { kube, clock, cache } = secretCache();
    assert.equal(cache.peek(SOURCE), undefined);
    await Promise.all([cache.get(SOURCE), cache.get(SOURCE, { fresh: true })]);
    await cache.get(SOURCE);
    assert.equal(kube.reads, 1);
    await cache.get(SOURCE, { fresh: true });
    assert.equal(kube.reads, 2);
    clock.now += 1000;
    await cache.get(SOURCE);
    assert.equal(kube.reads, 3);
  });

  it('has every password masked, and no user name', async () => {
    const { hidden, cache } = secretCache();
    await cache.get(SOURCE);
    assert.deepEqual(hidden, ['look-password', 'repl-password']);
  });

  it('tells a Secret that does not exist from one that could not be asked for', async () => {
    const { kube, cache } = secretCache();
    kube.answers.set(SOURCE.name, failure('KubeNotFound'));
    assert.equal((await cache.get(SOURCE)).state, 'Missing');
    for (const code of ['KubeForbidden', 'KubeUnavailable', 'Deadline'] as const) {
      kube.answers.set(SOURCE.name, failure(code));
      assert.equal((await cache.get(SOURCE, { fresh: true })).state, 'Unknown');
    }
  });

  it('keeps the last value while it cannot ask, says so, and drops it once it is gone', async () => {
    const { kube, cache } = secretCache();
    await cache.get(SOURCE);
    kube.answers.set(SOURCE.name, failure('KubeUnavailable', 'it is down'));
    const kept = await cache.get(SOURCE, { fresh: true });
    assert.ok(kept.state === 'Read' && kept.data['username'] === 'look');
    assert.match(kept.stale ?? '', /it is down/);
    kube.answers.set(SOURCE.name, failure('KubeNotFound'));
    assert.deepEqual(await cache.get(SOURCE, { fresh: true }), { state: 'Missing' });
    assert.deepEqual(cache.peek(SOURCE), { state: 'Missing' });
  });
});

describe('host names', () => {
  function resolver(lookup: (host: string) => Promise<{ address: string }>, deadlineMs = 1000) {
    return createResolver({ clock: systemClock, maxAgeMs: 60_000, deadlineMs, lookup });
  }

  it('addresses are never asked for', async () => {
    const names = resolver(async () => assert.fail('asked'));
    for (const address of ['10.0.0.1', 'fe80::1']) {
      assert.deepEqual(await names.resolve(address), { state: 'Address', address });
      assert.deepEqual(names.peek(address), { state: 'Address', address });
    }
  });

  it('a name that does not resolve is said with the cause, and asked again when it must be fresh', async () => {
    let known = false;
    const names = resolver(async () => {
      if (known) return { address: '10.0.0.9' };
      throw Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' });
    });
    assert.deepEqual(await names.resolve('db'), { state: 'Unresolved', why: 'ENOTFOUND' });
    known = true;
    assert.equal((await names.resolve('db')).state, 'Unresolved');
    assert.deepEqual(await names.resolve('db', { fresh: true }), { state: 'Address', address: '10.0.0.9' });
  });

  it('a name that resolved keeps its address when the name server fails', async () => {
    let fails = false;
    const names = resolver(async () => {
      if (fails) throw new Error('down');
      return { address: '10.0.0.9' };
    });
    await names.resolve('db');
    fails = true;
    assert.deepEqual(await names.resolve('db', { fresh: true }), { state: 'Address', address: '10.0.0.9' });
  });

  it('a name server that never answers ends at the deadline', async () => {
    const names = resolver(() => new Promise(() => undefined), 20);
    assert.deepEqual(await names.resolve('db'), { state: 'Unresolved', why: 'no answer within 20 ms' });
  });
});
