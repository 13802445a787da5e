import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { known } from '../../../src/domain/fact.ts';
import { accountsAt, linkedWith, NO_LINK_ACCOUNTS, podsToRelink } from '../../../src/operator/relink.ts';
import type { LinkAccounts } from '../../../src/operator/relink.ts';
import { calmInput } from './status-fixture.ts';

const OLD = { user: 'repl', password: 'old' };
const NEW = { user: 'repl', password: 'new' };
const { observation, picture, resource } = calmInput();
const pods = observation.replicas.map(({ pod }) => pod);

function due(accounts: LinkAccounts, link: { readonly ioErrno?: number } = {}): readonly string[] {
  const replicas = observation.replicas.map((replica) => {
    if (!replica.look.known) return replica;
    const { value, at } = replica.look;
    return { ...replica, look: known({ ...value, links: value.links.map((one) => ({ ...one, ...link })) }, at) };
  });
  return [...podsToRelink(accounts, { replicas }, { memory: picture.memory, resource })];
}

describe('links whose account was changed', () => {
  test('nothing is written anew while the account is the one that was there', () => {
    assert.deepEqual(due(accountsAt(NO_LINK_ACCOUNTS, OLD, pods)), []);
  });

  test('a changed password, until each link has it', () => {
    const before = accountsAt(NO_LINK_ACCOUNTS, OLD, pods);
    const changed = accountsAt(before, NEW, pods);
    assert.deepEqual(due(changed), pods);
    assert.deepEqual(due(accountsAt(changed, NEW, pods)), pods, 'the next pass too');
    const written = pods.reduce((accounts, pod) => linkedWith(accounts, pod, NEW), changed);
    assert.deepEqual(due(written), []);
    assert.deepEqual(due(accountsAt(written, OLD, pods)), pods, 'and back');
  });

  test('another user, whoever wrote the link', () => {
    assert.deepEqual(due(accountsAt(NO_LINK_ACCOUNTS, { user: 'other', password: 'old' }, pods)), pods);
  });

  test('a process that has just begun: a link that is refused, once', () => {
    const begun = accountsAt(NO_LINK_ACCOUNTS, NEW, pods);
    assert.deepEqual(due(begun, { ioErrno: 1045 }), pods);
    assert.deepEqual(due(begun, { ioErrno: 2003 }), []);
    const tried = pods.reduce((accounts, pod) => linkedWith(accounts, pod, NEW), begun);
    assert.deepEqual(due(tried, { ioErrno: 1045 }), [], 'the account that it has is the one that is refused');
  });
});
