import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link, ServerLook } from '../../../src/domain/observation.ts';
import { position } from '../domain/pair-fixture.ts';
import { adoption, carriedOut, PLACE, replicaAt, undoing } from './acted-on.ts';

interface Around {
  readonly holder?: Partial<ServerLook>;
  readonly link?: Partial<Link>;
}

/** What the holder says of the replica's coordinates, and whether the replica is rewritten there (invariants 2 and 3). */
async function adopts(
  gtid: string,
  holderSays: string | null,
  { holder = {}, link = {} }: Around = {},
): Promise<boolean> {
  const replica = replicaAt(gtid, link);
  const says = holderSays === null ? null : position(holderSays);
  const { message } = await carriedOut(adoption(gtid), replica, { holderSays: says, holder });
  const changed = replica.statements.includes('CHANGE MASTER');
  assert.equal(changed, message === '', message);
  return changed;
}

test('an adoption is made where the holder says the very position of the replica', async () => {
  assert.equal(await adopts('0-1-100', '0-1-100'), true);
  assert.equal(await adopts('0-1-100', '0-1-99'), false);
  assert.equal(await adopts('0-1-100', null), false);
});

test('a place before the first transaction of the binlog is no word for a position: the rows up to it would be skipped', async () => {
  assert.equal(await adopts('0-1-100', ''), false);
});

test('a link by GTID shows no place before something arrived, and does not go on by it', async () => {
  assert.equal(await adopts('0-1-100', '', { link: { usingGtid: 'Slave_Pos' } }), true);
  assert.equal(await adopts('0-1-100', '0-1-99', { link: { usingGtid: 'Slave_Pos' } }), false);
});

test('a domain of the replica of which the holder says nothing at that place is not proven', async () => {
  assert.equal(await adopts('0-1-100,7-9-5', '0-1-100'), false);
});

test('a holder without log_slave_updates that took over and has written nothing yet: its end is where it took over', async () => {
  const holder = { logSlaveUpdates: false, gtidSlavePos: position('0-3-100'), gtidBinlogPos: position('') };
  assert.equal(await adopts('0-3-100', '', { holder }), true);
  assert.equal(await adopts('0-3-99', '', { holder }), false, 'it had not applied all of it');
  assert.equal(await adopts('0-3-100', '', { holder: { ...holder, logSlaveUpdates: true } }), false);
  const wrote = { ...holder, gtidBinlogPos: position('0-1-101') };
  assert.equal(await adopts('0-3-100', '', { holder: wrote }), false, 'what it wrote before or after cannot be told');
});

test('an adoption that is refused at the last moment says so, and stops nothing but receiving', async () => {
  const replica = replicaAt('0-1-100');
  const execution = await carriedOut(adoption('0-1-100'), replica, { holderSays: position('0-1-99') });
  assert.equal(execution.refused, true);
  assert.deepEqual(replica.statements, ['STOP SLAVE IO_THREAD']);
  const away = await carriedOut(adoption('0-1-100'), replicaAt('0-1-100'), { holder: { readOnly: true } });
  assert.deepEqual([away.outcome, away.refused], ['Stopped', false], 'the holder is to blame, not the position');
});

test('what an adoption stopped is started as it was: nothing else is set, and no link that somebody has changed', async () => {
  const stopped = { io: 'No' } as const;
  const replica = replicaAt('0-1-100', stopped);
  const { message } = await carriedOut(undoing('0-1-100'), replica);
  assert.deepEqual([message, replica.statements], ['', ['START SLAVE']]);
  const changed = replicaAt('0-1-100', { ...stopped, host: '10.0.0.12' });
  await carriedOut(undoing('0-1-100'), changed);
  assert.deepEqual(changed.statements, []);
});

test('a replica by file with parallel workers, stopped in the middle of a transaction: half of one is not waited for', async () => {
  const part = { read: { ...PLACE, position: 5_000 } };
  const replica = { ...replicaAt('0-1-100', part), workers: 4, rest: ['Whole', 'Half'] satisfies ('Whole' | 'Half')[] };
  const { outcome, steps } = await carriedOut(adoption('0-1-100', 'FilePosition'), replica, {
    holderSays: position('0-1-100'),
  });
  assert.equal(outcome, 'Done');
  assert.match(steps.find(({ step }) => step === 'Drain')?.detail ?? '', /half a transaction is left/);
  assert.deepEqual(replica.rest, [], 'a whole one is waited for');
});
