import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { position, state } from '../domain/pair-fixture.ts';
import type { Seen } from './standby.ts';
import { AT, after, applied, peerLink, standbyLook, summary, wrote } from './standby.ts';

const STANDBY: Seen = {};
const PROMOTED: Seen = { vip: true, links: [], readOnly: false };

function story(...looks: readonly Seen[]): string {
  return summary(after(looks));
}

describe('the takeover record of a standby', () => {
  test('is each look at it, and says everything that the look said', () => {
    const { record, missing, ownBegun } = after([STANDBY, applied(150, 1900)]);
    assert.equal(missing, null);
    assert.equal(ownBegun, false);
    assert.deepEqual(record, {
      at: AT + 1000,
      since: AT + 1000,
      end: { file: 'b-bin.000001', position: 400 },
      binlogState: state('0-2-7'),
      binlogPos: position('0-2-7'),
      slavePos: position('0-1-150'),
      standby: {
        sourceHost: '10.0.0.11',
        sourceServerId: 1,
        applied: { file: 'a-bin.000003', position: 1900 },
        usingGtid: false,
        drained: true,
        read: { file: 'a-bin.000003', position: 1900 },
      },
    });
  });

  test('is drained also with half a transaction that the crash of its source has left, when its threads stand', () => {
    const half = { read: { file: 'a-bin.000003', position: 7000 }, io: 'Connecting' } as const;
    const stopped = { ...half, io: 'No', sql: 'No', sqlState: '' } as const;
    const { record } = after([STANDBY, { links: [peerLink(900, half)] }, { links: [peerLink(900, stopped)] }]);
    assert.equal(record?.standby?.drained, true);
    const more = { ...stopped, read: { file: 'a-bin.000003', position: 7001 } };
    assert.equal(
      after([STANDBY, { links: [peerLink(900, half)] }, { links: [peerLink(900, more)] }]).record?.standby?.drained,
      false,
    );
  });

  test('moves over what the standby wrote itself, and the state that comes with it says so', () => {
    const { record } = after([STANDBY, wrote(8, 600)]);
    assert.equal(record?.end.position, 600);
    assert.deepEqual(record?.binlogState, state('0-2-8'));
  });

  test('says whether everything that was received had been applied', () => {
    const busy = peerLink(900, {
      sqlState: 'Reading event from the relay log',
      read: { file: 'a-bin.000003', position: 1200 },
    });
    assert.equal(after([{ links: [busy] }]).record?.standby?.drained, false);
  });

  test('keeps the server id of its source, which a restarted standby does not know before it is connected', () => {
    const lonely = peerLink(900, { sourceServerId: 0, io: 'Connecting' });
    assert.equal(after([STANDBY, { links: [lonely] }]).record?.standby?.sourceServerId, 1);
  });
});

describe('a takeover', () => {
  test('the record moves on under the VIP until the first own transaction, and stays then', () => {
    const gained = { vip: true, ...applied(150, 1900) };
    assert.equal(story(STANDBY, gained), '400 / 1900');
    const reset = { ...PROMOTED, gtidSlavePos: position('0-1-150') };
    assert.equal(story(STANDBY, gained, reset, { ...reset, ...wrote(151, 700) }), '400 / 1900');
    const later = { ...reset, ...wrote(900, 80_000) };
    const { record, ownBegun } = after([STANDBY, gained, reset, later, later]);
    assert.equal(record?.at, AT + 2000);
    assert.equal(ownBegun, true);
  });

  test('RESET SLAVE ALL leaves what the link said last', () => {
    const { record } = after([STANDBY, PROMOTED]);
    assert.deepEqual(record?.standby, after([STANDBY]).record?.standby);
    assert.equal(record?.at, AT + 1000);
    assert.equal(record?.standby?.drained, true);
  });

  test('RESET SLAVE of an old version, which keeps the row of the link, does the same', () => {
    const row = peerLink(0, { exec: { file: '', position: 0 }, read: { file: '', position: 4 }, io: 'No', sql: 'No' });
    assert.equal(
      story(STANDBY, { ...PROMOTED, links: [row] }, { ...PROMOTED, links: [row], ...wrote(101, 700) }),
      '400 / 900',
    );
  });

  test('it is all there when the first look under the VIP comes after the promotion and the first writes', () => {
    assert.equal(story(STANDBY, { ...PROMOTED, ...wrote(101, 700) }), '400 / 900');
  });

  test('a script that promotes before the VIP comes makes no difference', () => {
    assert.equal(story(STANDBY, { ...PROMOTED, vip: false }, { ...PROMOTED, ...wrote(101, 700) }), '400 / 900');
  });

  test('a promotion that is looked at between the stop of its applier and RESET SLAVE ALL does', () => {
    const stopping = peerLink(900, { io: 'Connecting', sql: 'No', sqlState: '' });
    const looks = [STANDBY, { vip: true, links: [stopping] }, { ...PROMOTED, ...wrote(101, 700) }];
    assert.equal(story(...looks), '400 / 900');
    // It received more than it had applied when it was stopped.
    const behind = peerLink(1200, { sql: 'No', sqlState: '', read: { file: 'a-bin.000003', position: 1300 } });
    assert.equal(story(STANDBY, { vip: true, links: [behind] }, { ...PROMOTED, ...wrote(101, 700) }), 'AppliedSince');
  });

  test('binlog files that begin without a transaction move it on', () => {
    const rotated = { ...PROMOTED, end: { file: 'b-bin.000002', position: 380 } };
    assert.equal(after([STANDBY, rotated]).record?.end.file, 'b-bin.000002');
  });

  test('a new stay as a standby begins a new record', () => {
    const back = { ...wrote(200, 9000), ...applied(300, 5000) };
    assert.equal(story(STANDBY, PROMOTED, { ...PROMOTED, ...wrote(200, 9000) }, back), '9000 / 5000');
    assert.equal(
      story(STANDBY, PROMOTED, { ...PROMOTED, ...wrote(200, 9000) }, back, { vip: true, ...back }),
      '9000 / 5000',
    );
  });

  test('a server that was never seen as a standby has none', () => {
    assert.equal(story(PROMOTED), 'NeverStandby');
    assert.equal(story({ vip: true }, { ...PROMOTED, ...wrote(101, 700) }), 'NeverStandby');
    assert.equal(after([PROMOTED]).ownBegun, true);
  });
});

describe('where nobody said which address is the VIP', () => {
  const writable: Seen = { vip: null, readOnly: false };

  test('a server that cannot be written to is a standby', () => {
    assert.equal(story({ vip: null }, { vip: null, ...applied(150, 1900) }), '400 / 1900');
  });

  test('any other one may be the holder: the record stays at its first own transaction', () => {
    assert.equal(story(writable), 'NeverStandby');
    assert.equal(story({ vip: null }, writable, { ...writable, ...wrote(101, 700) }), '400 / 900');
    assert.equal(
      story(
        { vip: null },
        writable,
        { ...writable, ...wrote(101, 700) },
        { ...writable, ...wrote(101, 700), ...applied(102, 990) },
      ),
      'AppliedSince',
    );
  });
});

describe('a record is dropped', () => {
  const owner = { ...PROMOTED, ...wrote(101, 700) };

  test('when something was applied between the last look at the standby and its first own transaction', () => {
    assert.equal(story(STANDBY, { ...owner, gtidSlavePos: position('0-1-101') }), 'AppliedSince');
  });

  test('when something was applied before the link was reset, and nobody saw how far', () => {
    assert.equal(story(STANDBY, { ...PROMOTED, gtidSlavePos: position('0-1-101') }), 'AppliedSince');
  });

  test('when the holder applies something after its own first transaction', () => {
    const dual = { vip: true, readOnly: false, ...wrote(101, 700) };
    assert.equal(story(STANDBY, { vip: true }, dual), '400 / 900');
    assert.equal(story(STANDBY, { vip: true }, dual, { ...dual, ...applied(102, 990) }), 'AppliedSince');
  });

  test('when what was received had not been applied, and the link is gone: its GTID may be what was received', () => {
    const busy = peerLink(900, {
      sqlState: 'Reading event from the relay log',
      read: { file: 'a-bin.000003', position: 1200 },
    });
    assert.equal(story({ links: [busy] }, PROMOTED), 'AppliedSince');
    assert.equal(story({ links: [busy] }, owner), 'AppliedSince');
    const more = { vip: true, links: [peerLink(1200)] };
    assert.equal(story({ links: [busy] }, { ...more, ...wrote(101, 700) }), 'AppliedSince');
    assert.equal(story({ links: [busy] }, more, owner), '400 / 1200');
  });

  test('when its binlog has lost its end, was reset, or has another name', () => {
    for (const lost of [
      wrote(6, 390),
      { end: { file: 'b-bin.000001', position: 390 } },
      { end: { file: 'other.000001', position: 400 } },
    ]) {
      assert.equal(story(STANDBY, { ...PROMOTED, ...lost }), 'OtherHistory');
    }
    assert.equal(
      story(STANDBY, { ...PROMOTED, gtidBinlogState: state(''), gtidBinlogPos: position('') }),
      'OtherHistory',
    );
  });

  test('when another server, another data directory or another machine answers', () => {
    for (const as of [
      { serverId: 3 },
      { hostname: 'c' },
      { serverUid: 'x' },
      { port: 3307 },
      { datadir: '/x' },
      { datadirId: 'other' },
      { machineId: 'other' },
    ]) {
      assert.equal(story(STANDBY, { ...PROMOTED, as }), 'OtherServer', JSON.stringify(as));
    }
    assert.equal(story(STANDBY, { ...PROMOTED, as: { datadirId: '', machineId: '' } }), '400 / 900');
  });

  test('when the binlog is off', () => {
    assert.equal(story(STANDBY, { end: null, logBin: false }), 'NoBinlog');
  });

  test('and comes back with the next stay as a standby, not before', () => {
    const dropped: readonly Seen[] = [STANDBY, { ...owner, gtidSlavePos: position('0-1-101') }];
    assert.equal(story(...dropped, owner, { ...PROMOTED, vip: false }), 'AppliedSince');
    assert.equal(story(...dropped, { ...wrote(101, 700), ...applied(200, 3000) }), '700 / 3000');
  });
});

describe('own transactions', () => {
  test('are all that a binlog without log_slave_updates has, whatever server id they carry', () => {
    const other = {
      ...PROMOTED,
      gtidBinlogState: state('0-2-7,0-9-101'),
      end: { file: 'b-bin.000001', position: 700 },
    };
    assert.equal(story(STANDBY, other), '400 / 900');
    assert.equal(after([STANDBY, other]).ownBegun, true);
    // With equal ids on both members, too.
    const equal = { links: [peerLink(900, { sourceServerId: 2 })] };
    assert.equal(story(equal, owner(equal)), '400 / 900');
  });

  test('in another domain count', () => {
    const other = { ...PROMOTED, gtidBinlogState: state('0-2-7,5-2-1'), end: { file: 'b-bin.000001', position: 700 } };
    assert.equal(story(STANDBY, other), '400 / 900');
  });

  const logging: Partial<Seen> = { logSlaveUpdates: true, gtidBinlogState: state('0-1-100,0-2-7') };

  test('are told from applied ones by their server id where both are logged', () => {
    const more = {
      ...logging,
      ...applied(150, 1900),
      gtidBinlogState: state('0-1-150,0-2-7'),
      end: { file: 'b-bin.000001', position: 5000 },
    };
    assert.equal(story(logging, { vip: true, ...more }), '5000 / 1900');
    const own = {
      ...PROMOTED,
      ...more,
      links: [],
      gtidBinlogState: state('0-1-150,0-2-151'),
      end: { file: 'b-bin.000001', position: 5200 },
    };
    assert.equal(story(logging, { vip: true, ...more }, own), '5000 / 1900');
  });

  test('cannot be told from applied ones where both are logged, and both members have one server id', () => {
    assert.equal(story({ ...logging, links: [peerLink(900, { sourceServerId: 2 })] }), 'OwnNotTold');
    assert.equal(story({ ...logging, gtidBinlogState: null }), 'OwnNotTold');
    assert.equal(story({ gtidBinlogState: null }), '400 / 900');
  });

  function owner(change: Partial<Seen>): Seen {
    return { vip: true, readOnly: false, ...wrote(101, 700), ...change };
  }
});

test('it looks at what it is given, and changes nothing of it', () => {
  const before = after([STANDBY]);
  const copy = structuredClone(before);
  after([PROMOTED], before);
  assert.deepEqual(before, copy);
  assert.equal(standbyLook().links.length, 1);
});
