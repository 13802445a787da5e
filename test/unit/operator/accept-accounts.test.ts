import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createAccounts } from '../../../src/operator/accept/accounts.ts';
import type { Wanted } from '../../../src/operator/accept/accounts.ts';
import { namedOf } from '../../../src/operator/accept/named.ts';
import { watchedReplica } from '../../../src/operator/selection.ts';
import { failure, FakeSecrets, FakeServers, podOf, resourceOf } from './accept-fixture.ts';

function accountsAt(clock: { now: number }) {
  const servers = new FakeServers();
  const { signal } = new AbortController();
  const times = { monotonicMs: () => clock.now, wallMs: () => clock.now };
  return { servers, accounts: createAccounts({ connect: servers.connect, clock: times, signal }) };
}

function wanted(password = 'look-password'): Wanted {
  const { spec } = resourceOf();
  const answers = new FakeSecrets().answers;
  const named = namedOf(spec, {
    secret: (name) => {
      const data = answers.get(name);
      assert.ok(data !== undefined && !(data instanceof Error));
      return { state: 'Read', stale: null, data: name === 'orders-source' ? { ...data, password } : data };
    },
    address: (address) => ({ state: 'Address', address }),
  });
  assert.equal(named.state, 'Found');
  return { spec, named, pods: [watchedReplica(podOf('orders-0'))], observation: null };
}

describe('the accounts of a resource', () => {
  it('are checked on each server, and in calm again within a minute', async () => {
    const clock = { now: 0 };
    const { servers, accounts } = accountsAt(clock);
    assert.deepEqual(accounts.standing(wanted()), { refusal: null, unchecked: true, partial: false });
    await accounts.check(wanted());
    const logins = servers.logins.map(({ name, user }) => `${user} at ${name}`).toSorted();
    assert.deepEqual(logins, [
      'look at member hci-a',
      'look at member hci-b',
      'repl at member hci-a',
      'repl at member hci-b',
      'replica at replica orders-0',
    ]);
    assert.deepEqual(accounts.standing(wanted()), { refusal: null, unchecked: false, partial: true });
    clock.now += 39_000;
    await accounts.check(wanted());
    assert.equal(servers.logins.length, 5);
    clock.now += 1_000;
    await accounts.check(wanted());
    assert.equal(servers.logins.length, 10);
  });

  it('are unchecked again when a password has changed, and only those are asked', async () => {
    const { servers, accounts } = accountsAt({ now: 0 });
    await accounts.check(wanted());
    servers.logins.length = 0;
    const changed = wanted('another');
    assert.ok(accounts.standing(changed).unchecked && accounts.isUrgent(changed));
    await accounts.check(changed);
    assert.deepEqual(new Set(servers.logins.map(({ user }) => user)), new Set(['look']));
    assert.equal(accounts.standing(changed).unchecked, false);
  });

  it('are asked again at every round where they were refused, and nowhere else', async () => {
    const { servers, accounts } = accountsAt({ now: 0 });
    servers.servers.set('replica orders-0', failure('AccessDenied'));
    await accounts.check(wanted());
    servers.logins.length = 0;
    await accounts.check(wanted());
    assert.deepEqual(
      servers.logins.map(({ name }) => name),
      ['replica orders-0'],
    );
  });

  it('do not refuse for a server that cannot be asked any more', async () => {
    const { servers, accounts } = accountsAt({ now: 0 });
    servers.servers.set('member hci-a', failure('AccessDenied'));
    await accounts.check(wanted());
    assert.equal(accounts.standing(wanted()).refusal?.reason, 'AccessDenied');
    servers.servers.set('member hci-a', failure('Deadline'));
    await accounts.check(wanted());
    assert.equal(accounts.standing(wanted()).refusal, null);
  });
});
