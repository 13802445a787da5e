import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Coordinates } from '../../../src/api/publisher.ts';
import type { JournalEntry } from '../../../src/api/publisher.ts';
import { isMxrError } from '../../../src/errors.ts';
import {
  NO_DATABASE,
  NOTHING_IMPORTED,
  databaseIn,
  databaseOf,
  publishedTakeover,
  takeoverIn,
} from '../../../src/publisher/coordinates.ts';
import type { SeenServer } from '../../../src/publisher/database.ts';
import { NO_TAKEOVER } from '../../../src/publisher/takeover.ts';
import type { Seen } from './standby.ts';
import { AT, IDENTITY, after, peerLink, standbyLook, summary, wrote } from './standby.ts';

function seen(change: Parameters<typeof standbyLook>[0] = {}): SeenServer {
  return { look: standbyLook(change), datadirId: 'datadir-b', incarnation: 1 };
}

function entry(change: Partial<JournalEntry> = {}, ...looks: readonly Seen[]): JournalEntry {
  return {
    member: 'hci-b',
    databaseAnswers: true,
    vipHeld: false,
    ...databaseOf(seen(looks.at(-1)), 'machine-b', AT),
    takeover: publishedTakeover(after(looks).record),
    peer: null,
    imported: NOTHING_IMPORTED,
    seq: 1,
    at: new Date(AT).toISOString(),
    ...change,
  };
}

describe('what is published', () => {
  test('of a standby', () => {
    assert.deepEqual(databaseOf(seen(), 'machine-b', AT), {
      identity: IDENTITY,
      readOnly: true,
      file: 'b-bin.000001',
      position: 400,
      gtidBinlogPos: '0-2-7',
      gtidBinlogState: '0-2-7',
      gtidSlavePos: '0-1-100',
      logSlaveUpdates: false,
      slave: {
        masterHost: '10.0.0.11',
        masterServerId: 1,
        file: 'a-bin.000003',
        position: 900,
        usingGtid: false,
        ioRunning: true,
        sqlRunning: true,
        applying: false,
      },
      observedAt: new Date(AT).toISOString(),
    });
  });

  test('of a server that follows nobody, has no binlog, and hides its state', () => {
    const { slave, file, position, gtidBinlogState } = databaseOf(
      seen({ links: [], end: null, gtidBinlogState: null }),
      '',
      AT,
    );
    assert.deepEqual(
      { slave, file, position, gtidBinlogState },
      { slave: null, file: '', position: 0, gtidBinlogState: '0-2-7' },
    );
  });

  test('of a link that is not connected and applies', () => {
    const links = [
      peerLink(900, {
        io: 'Connecting',
        sqlState: 'Reading event from the relay log',
        usingGtid: 'Current_Pos',
        gtidIoPos: new Map([[0, { domain: 0, serverId: 1, seq: 120n }]]),
      }),
    ];
    const { slave } = databaseOf(seen({ links }), '', AT);
    assert.deepEqual([slave?.ioRunning, slave?.applying, slave?.usingGtid], [false, true, true]);
  });

  test('is what a reader accepts, or nothing', () => {
    const whole = { ...entry({}, {}), monotonicAgeMs: 3 };
    assert.doesNotThrow(() => Coordinates.parse(whole));
    const hostile = seen({ end: { file: 'x'.repeat(600), position: 4 } });
    assert.throws(
      () => databaseOf(hostile, '', AT),
      (error) => isMxrError(error, 'InputInvalid') && /file: /u.test(error.message),
    );
  });
});

describe('what the journal knows', () => {
  test('is what was published, without the parts that are not of the database', () => {
    assert.deepEqual(databaseIn(entry({}, {})), databaseOf(seen(), 'machine-b', AT));
    assert.deepEqual(databaseIn(null), NO_DATABASE);
  });

  test('the takeover record comes back as it was', () => {
    const before = after([{}]);
    const again = takeoverIn(entry({}, {}));
    const { read: _, ...standby } = before.record?.standby ?? {};
    assert.deepEqual(again.record, { ...before.record, standby });
    assert.deepEqual(again.link, standby);
    assert.deepEqual(again.identity, before.identity);
    assert.equal(again.watched, false);
    assert.deepEqual(takeoverIn(null), NO_TAKEOVER);
    assert.deepEqual(takeoverIn(entry({ identity: null }, {})), NO_TAKEOVER);
  });

  test('over a restart of the publisher, or of the database, the record stays', () => {
    const promoted = { vip: true, links: [], readOnly: false, ...wrote(101, 700) };
    const restarted = { ...promoted, as: { startedAt: new Date(AT + 5000).toISOString() } };
    assert.equal(summary(after([promoted], takeoverIn(entry({}, {})))), '400 / 900');
    assert.equal(summary(after([restarted], takeoverIn(entry({}, {}, promoted)))), '400 / 900');
  });

  test('not when something was applied in between, or another server answers', () => {
    const promoted = { vip: true, links: [], readOnly: false, ...wrote(101, 700) };
    const before = takeoverIn(entry({}, {}));
    const more = { gtidSlavePos: new Map([[0, { domain: 0, serverId: 1, seq: 101n }]]) };
    assert.equal(summary(after([{ ...promoted, ...more }], before)), 'AppliedSince');
    assert.equal(summary(after([{ ...promoted, as: { serverUid: 'other' } }], before)), 'OtherServer');
  });

  test('a standby by file and position that had no record stays without one, until its link is set up anew', () => {
    const before = takeoverIn(entry({ takeover: null }, {}));
    assert.equal(summary(after([{}], before)), 'DoubtedBefore');
    assert.equal(summary(after([{ links: [] }, {}], before)), '400 / 900');
    assert.equal(summary(after([{}], takeoverIn(entry({ takeover: null, vipHeld: true }, {})))), '400 / 900');
  });
});
