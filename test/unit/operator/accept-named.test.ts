import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { Clock } from '../../../src/clock.ts';
import { MxrError } from '../../../src/errors.ts';
import { hostsOf, namedOf } from '../../../src/operator/accept/named.ts';
import type { Named } from '../../../src/operator/accept/named.ts';
import { createResolver } from '../../../src/operator/accept/resolve.ts';
import { createSecretCache } from '../../../src/operator/accept/secrets.ts';
import type { Sample } from '../api/sample.ts';
import { failure, FakeSecrets, resourceOf } from './accept-fixture.ts';

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

  it('has a token masked as it is used, without the newline of its file', async () => {
    const { kube, hidden, cache } = secretCache();
    kube.answers.set(SOURCE.name, { token: 's3cret\n', 'ca.crt': 'shown' });
    await cache.get(SOURCE);
    assert.deepEqual(hidden, ['s3cret\n', 's3cret']);
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

describe('publishers', () => {
  const CA = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
  const OTHER_CA = CA.replace('MIIB', 'MIIC');

  /** What the spec with these Secrets comes to. */
  function named(secrets: Record<string, Record<string, string> | null>, change: (spec: Sample) => void = () => {}) {
    const spec = (one: Sample) => {
      Object.assign(one.source.members[0] ?? {}, { publisher: { url: 'https://10.0.0.11:9480' } });
      change(one);
    };
    const answers = new FakeSecrets().answers;
    return namedOf(resourceOf({ spec }).spec, {
      secret: (name) => {
        const data = secrets[name] === undefined ? answers.get(name) : secrets[name];
        return data === null || data === undefined || data instanceof MxrError
          ? { state: 'Missing' }
          : { state: 'Read', data, stale: null };
      },
      address: (address) => ({ state: 'Address', address }),
    });
  }

  function target(found: Named) {
    assert.equal(found.state, 'Found');
    return found.state === 'Found' ? found.targets.members.map(({ publisher }) => publisher) : [];
  }

  const withToken = ({ source }: Sample) => (source['publisherAuth'] = { secretName: 'orders-publisher' });
  const withCa = (one: Sample) => {
    withToken(one);
    one.source['tls'] = { caSecretName: 'orders-ca' };
  };

  it('are asked without a token and with the CAs of the image, where nothing else is said', () => {
    const [a, b] = target(named({}));
    assert.deepEqual(a, { name: 'the publisher of hci-a', url: 'https://10.0.0.11:9480', token: null, ca: null });
    assert.equal(b, undefined);
  });

  it('get the token of the Secret, without the newline of its file, and its CA before that of source.tls', () => {
    const secrets = { 'orders-publisher': { token: 's3cret\n' }, 'orders-ca': { 'ca.crt': CA } };
    const { token, ca } = target(named(secrets, withCa))[0] ?? {};
    assert.deepEqual([token, ca], ['s3cret', CA]);
    const own = { ...secrets, 'orders-publisher': { token: 's3cret', 'ca.crt': OTHER_CA } };
    assert.equal(target(named(own, withCa))[0]?.ca, OTHER_CA);
  });

  it('a Secret that is missing, lacks the token, or holds something else, is refused by name', () => {
    const refusal = (data: Record<string, string> | null) => {
      const answer = named({ 'orders-publisher': data }, withToken);
      return answer.state === 'Refused' ? `${answer.refusal.reason}: ${answer.refusal.message}` : answer.state;
    };
    assert.match(refusal(null), /^SecretMissing: Secret orders-publisher \(source\.publisherAuth\).*with token$/);
    assert.match(refusal({}), /^SecretKeyMissing: Secret orders-publisher \(source\.publisherAuth\) lacks token/);
    for (const token of [' \n', 'two words', 'a\r\nX-Evil: 1', 'schlüssel']) {
      const told = refusal({ token });
      assert.match(told, /^SecretKeyMissing: key token of Secret orders-publisher .* is no token/);
      assert.ok(!told.includes(token), 'a value is never shown');
    }
    assert.match(
      refusal({ token: 's3cret', 'ca.crt': 'x' }),
      /key ca\.crt of Secret orders-publisher .*no certificate/,
    );
  });

  it('a name in the url that does not resolve is no refusal: the resource works without', () => {
    assert.deepEqual(
      hostsOf(
        resourceOf({
          spec: ({ source }) =>
            Object.assign(source.members[0] ?? {}, { publisher: { url: 'https://nowhere.invalid:9480' } }),
        }).spec,
      ),
      ['10.0.0.100', '10.0.0.11', '10.0.0.12'],
    );
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
