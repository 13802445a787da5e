import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { position } from '../domain/pair-fixture.ts';
import type { Seen } from './standby.ts';
import { after, peerLink, summary, wrote } from './standby.ts';

const STANDBY: Seen = {};
const PROMOTED: Seen = { vip: true, links: [], readOnly: false };

function story(...looks: readonly Seen[]): string {
  return summary(after(looks));
}

/** The same by GTID. */
function byGtid(seq: number, end = 800 + seq): Partial<Seen> {
  const gtid = position(`0-1-${seq}`);
  return { gtidSlavePos: gtid, links: [peerLink(end, { usingGtid: 'Slave_Pos', gtidIoPos: gtid })] };
}

describe('by GTID', () => {
  test('the last transactions before RESET SLAVE ALL count although the coordinates are gone', () => {
    const reset = { ...PROMOTED, gtidSlavePos: position('0-1-103') };
    const { record } = after([byGtid(100), reset]);
    assert.equal(summary(after([byGtid(100), reset])), '400 / unknown');
    assert.deepEqual(record?.slavePos, position('0-1-103'));
    assert.equal(record?.standby?.usingGtid, true);
    assert.equal(summary(after([byGtid(100), reset, { ...reset, ...wrote(104, 700) }])), '400 / unknown');
  });

  test('not when writes came as well, nor over a gap in which nobody looked', () => {
    assert.equal(
      story(byGtid(100), { ...PROMOTED, gtidSlavePos: position('0-1-103'), ...wrote(104, 700) }),
      'AppliedSince',
    );
    const restarted = { ...after([byGtid(100)]), watched: false };
    assert.equal(summary(after([{ ...PROMOTED, gtidSlavePos: position('0-1-103') }], restarted)), 'AppliedSince');
  });

  test('undrained is no doubt: its table says what it has applied', () => {
    const links = [peerLink(900, { usingGtid: 'Slave_Pos', gtidIoPos: position('0-1-120') })];
    assert.equal(story({ links }, PROMOTED, { ...PROMOTED, ...wrote(101, 700) }), '400 / 900');
  });
});

describe('a link by file and position in doubt', () => {
  test('it went to another server by itself: its coordinates are of two histories', () => {
    const other = { links: [peerLink(950, { sourceServerId: 9 })] };
    assert.equal(story(STANDBY, other), 'SourceChanged');
    assert.equal(story(STANDBY, other, other, { links: [peerLink(2000, { sourceServerId: 9 })] }), 'SourceChanged');
    assert.equal(story(STANDBY, other, PROMOTED), 'SourceChanged');
  });

  test('also where it was not connected in between', () => {
    const offline = { links: [peerLink(900, { sourceServerId: 0 })] };
    assert.equal(story(STANDBY, offline, { links: [peerLink(950, { sourceServerId: 9 })] }), 'SourceChanged');
  });

  test('its applied position went back after a crash', () => {
    assert.equal(story(STANDBY, { links: [peerLink(700)] }), 'WentBack');
    assert.equal(story(STANDBY, { links: [peerLink(700)] }, { links: [peerLink(2000)] }), 'WentBack');
    assert.equal(story(STANDBY, { vip: true, links: [peerLink(700)] }), 'WentBack');
  });

  test('the record of a takeover does not outlive an applied position that went back either', () => {
    const owner = { vip: true, readOnly: false, ...wrote(101, 700) };
    assert.equal(story(STANDBY, { vip: true }, { ...owner, links: [peerLink(950)] }), '400 / 900');
    assert.equal(story(STANDBY, { vip: true }, { ...owner, links: [peerLink(700)] }), 'AppliedSince');
  });

  test('also where the link was reset in between without being removed', () => {
    const row = peerLink(0, { exec: { file: '', position: 0 }, read: { file: '', position: 4 } });
    assert.equal(story(STANDBY, { links: [row] }, { links: [peerLink(700)] }), 'WentBack');
  });

  test('a link that was set up anew is a new one', () => {
    const back = { links: [peerLink(700)] };
    assert.equal(story(STANDBY, back, { links: [] }, back), '400 / 700');
    assert.equal(story(STANDBY, back, { links: [peerLink(500, { host: '10.0.0.13' })] }), '400 / 500');
    assert.equal(story(STANDBY, back, byGtid(100)), '400 / 900');
  });

  test('several channels hide what else is applied', () => {
    const links = [peerLink(), peerLink(300, { channel: 'reports', host: '10.0.0.50' })];
    assert.equal(story({ links }), 'SeveralLinks');
    assert.equal(story(STANDBY, { ...PROMOTED, links }), 'SeveralLinks');
  });

  test('a link to another server that has applied nothing yet leaves the record as it is', () => {
    const other = { vip: true, links: [peerLink(4, { host: '10.0.0.13', sourceServerId: 0 })] };
    assert.equal(story(STANDBY, other), '400 / 900');
    assert.equal(story(STANDBY, other, { ...other, gtidSlavePos: position('0-3-120') }), 'AppliedSince');
  });
});
