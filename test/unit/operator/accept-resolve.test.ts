import assert from 'node:assert/strict';
import { it } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { namedOf } from '../../../src/operator/accept/named.ts';
import { createResolver } from '../../../src/operator/accept/resolve.ts';
import { resourceOf } from './accept-fixture.ts';

it('has one lookup per name under way while the name servers hang, and takes their late answer', async () => {
  const asked: string[] = [];
  const { promise, resolve } = Promise.withResolvers<{ address: string }>();
  const resolver = createResolver({
    clock: systemClock,
    maxAgeMs: 0,
    deadlineMs: 20,
    lookup: async (host) => {
      asked.push(host);
      return promise;
    },
  });
  for (let count = 0; count < 3; count += 1) {
    const answers = await Promise.all([resolver.resolve('a.example'), resolver.resolve('b.example')]);
    for (const answer of answers) assert.deepEqual(answer, { state: 'Unresolved', why: 'no answer within 20 ms' });
  }
  assert.deepEqual(asked, ['a.example', 'b.example']);
  resolve({ address: '10.0.0.11' });
  const address = { state: 'Address', address: '10.0.0.11' };
  assert.deepEqual(await resolver.resolve('a.example'), address);
  assert.deepEqual(await resolver.resolve('a.example'), address);
  assert.equal(asked.filter((host) => host === 'a.example').length, 2, 'the next question is a new lookup');
});

it('an address is dialled, and a certificate is compared with the name of which it is the address', () => {
  const data = { username: 'u', password: 'p', replicationUsername: 'u', replicationPassword: 'p' };
  const namedIn = (mode: string) => {
    const { spec } = resourceOf({
      spec: ({ source }) => {
        source['tls'] = { mode };
        source['members'] = [
          { name: 'hci-a', host: 'hci-a.example' },
          { name: 'hci-b', host: '10.0.0.12' },
        ];
      },
    });
    const named = namedOf(spec, {
      secret: () => ({ state: 'Read', data, stale: null }),
      address: (host) => ({ state: 'Address', address: host === 'hci-a.example' ? '10.0.0.11' : host }),
    });
    assert.equal(named.state, 'Found');
    return named.targets.members.map(({ target: { host, tls } }) => [host, tls.servername]);
  };
  assert.deepEqual(namedIn('VerifyIdentity'), [
    ['10.0.0.11', 'hci-a.example'],
    ['10.0.0.12', undefined],
  ]);
  assert.deepEqual(namedIn('VerifyCA'), [
    ['10.0.0.11', undefined],
    ['10.0.0.12', undefined],
  ]);
});
