import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JournalEntry, PublishedPeer } from '../../../src/api/publisher.ts';
import { known, unknown } from '../../../src/domain/fact.ts';
import type { PublisherState } from '../../../src/publisher/state.ts';
import { createState } from '../../../src/publisher/state.ts';
import { keptJournal, keptLog } from './parts.ts';
import type { KeptJournal, KeptLog } from './parts.ts';
import type { Seen } from './standby.ts';
import { AT, applied, standbyLook, wrote } from './standby.ts';

const PEER: PublishedPeer = {
  member: 'hci-a',
  serverId: 1,
  serverUid: 'uid-a',
  startedAt: new Date(AT).toISOString(),
  file: 'a-bin.000003',
  position: 950,
  gtidBinlogPos: '0-1-101',
  vipHeld: true,
  observedAt: new Date(AT).toISOString(),
};

interface World extends KeptLog {
  readonly state: PublisherState;
  readonly journal: KeptJournal;
  readonly changes: () => number;
  vip: boolean | null;
  /** Monotonic ms; wall clock ms is AT plus this. */
  now: number;
  look(seen?: Seen): void;
  fail(): void;
  /** Everything that is asynchronous here has happened. */
  settled(): Promise<void>;
}

function world(latest: JournalEntry | null = null): World {
  const journal = keptJournal(latest);
  const kept = keptLog();
  let changes = 0;
  const it: Omit<World, 'state'> = {
    ...kept,
    journal,
    changes: () => changes,
    vip: false,
    now: 10_000,
    look: ({ vip = false, ...change } = {}) => {
      it.vip = vip;
      const server = { look: standbyLook(change), datadirId: 'datadir-b', incarnation: 1 };
      state.sawDatabase(known(server, it.now - 5), vip);
    },
    fail: () => state.sawDatabase(unknown('Deadline', 'no answer', it.now), it.vip),
    settled: () => new Promise((resolve) => setImmediate(resolve)),
  };
  const clock = { monotonicMs: () => it.now, wallMs: () => AT + it.now };
  const state = createState({
    member: 'hci-b',
    machineId: 'machine-b',
    journal,
    vipHeld: () => it.vip,
    clock,
    log: kept.log,
  });
  state.onChange(() => (changes += 1));
  return Object.assign(it, { state });
}

describe('the state of a publisher', () => {
  test('says what the database said last, and how old that is, while it does not answer', () => {
    const w = world();
    assert.equal(w.state.coordinates().identity, null);
    assert.equal(w.state.coordinates().monotonicAgeMs, null);
    w.look();
    w.now += 700;
    w.fail();
    const { databaseAnswers, position, observedAt, monotonicAgeMs } = w.state.coordinates();
    assert.deepEqual(
      { databaseAnswers, position, observedAt, monotonicAgeMs },
      { databaseAnswers: false, position: 400, observedAt: new Date(AT + 9_995).toISOString(), monotonicAgeMs: 705 },
    );
    w.look(wrote(8, 500));
    assert.equal(w.state.coordinates().position, 500);
    assert.equal(w.state.coordinates().databaseAnswers, true);
  });

  test('takes over what the journal ended with, as old and without an age', async () => {
    const before = world();
    before.look();
    before.state.sawPeer(PEER);
    await before.state.flush();
    const w = world(before.journal.latest());
    w.fail();
    const { identity, takeover, peer, monotonicAgeMs, databaseAnswers, observedAt } = w.state.coordinates();
    assert.equal(identity?.serverId, 2);
    assert.equal(takeover?.peerPosition, 900);
    assert.deepEqual(peer, PEER);
    assert.deepEqual([monotonicAgeMs, databaseAnswers], [null, false]);
    assert.equal(observedAt, new Date(AT + 9_995).toISOString());
  });

  test('what the server says and no reader would accept is no answer', () => {
    const w = world();
    w.look();
    w.look({ end: { file: 'x'.repeat(600), position: 4 } });
    assert.equal(w.state.coordinates().databaseAnswers, false);
    assert.equal(w.state.coordinates().file, 'b-bin.000001');
    assert.equal(w.said('what the database says cannot be published'), 1);
  });

  test('waits for the first own transaction as long as there is a record without one', () => {
    const w = world();
    assert.equal(w.state.awaitsOwn(), false);
    w.look();
    assert.equal(w.state.awaitsOwn(), true);
    w.look({ vip: true, links: [], readOnly: false });
    assert.equal(w.state.awaitsOwn(), true);
    w.look({ vip: true, links: [], readOnly: false, ...wrote(101, 700) });
    assert.equal(w.state.awaitsOwn(), false);
    w.look({ vip: true, links: [], readOnly: true, ...wrote(101, 700) });
    assert.equal(w.state.awaitsOwn(), true);
    w.fail();
    assert.equal(w.state.awaitsOwn(), false);
  });
});

test('what a standby still receives or applies is waited for more closely', () => {
  const w = world();
  assert.equal(w.state.isTakingIn(), false);
  w.look();
  assert.equal(w.state.isTakingIn(), true, 'it receives');
  const [link] = standbyLook().links;
  assert.ok(link);
  w.look({ links: [{ ...link, io: 'Connecting' }] });
  assert.equal(w.state.isTakingIn(), false);
  w.look({ links: [{ ...link, io: 'No', sqlState: 'Reading event from the relay log' }] });
  assert.equal(w.state.isTakingIn(), true, 'it applies');
  w.look({ vip: true, links: [], readOnly: false });
  assert.equal(w.state.isTakingIn(), false);
});

describe('the journal', () => {
  test('gets every change of VIP, role and identity at once, and those alone are told', () => {
    const w = world();
    w.look();
    const steps: Seen[] = [
      { vip: true },
      { vip: true, readOnly: false },
      { vip: true, readOnly: false, links: [] },
      { vip: true, readOnly: false, links: [], identity: { ...standbyLook().identity, startedAt: AT } },
    ];
    for (const [index, step] of steps.entries()) {
      w.look(step);
      assert.equal(w.journal.flushed.length, index + 2);
      assert.equal(w.changes(), index + 2);
    }
    w.fail();
    assert.equal(w.changes(), 6);
    assert.equal(w.journal.entries.at(-1)?.databaseAnswers, false);
    assert.deepEqual(w.journal.flushed, [1, 2, 3, 4, 5, 6]);
  });

  test('gets the VIP before the next look', () => {
    const w = world();
    w.look();
    w.vip = true;
    w.state.sawVip();
    assert.equal(w.journal.entries.at(-1)?.vipHeld, true);
    assert.deepEqual(w.journal.flushed, [1, 2]);
    w.state.sawVip();
    assert.equal(w.changes(), 2);
  });

  test('gets positions once a second, and only new ones', async () => {
    const w = world();
    for (let seq = 101; seq < 151; seq += 1) {
      w.look(applied(seq, seq * 10));
      await w.settled();
      w.now += 100;
    }
    assert.equal(w.journal.entries.length, 5);
    assert.deepEqual(w.journal.flushed, [1]);
    assert.equal(w.changes(), 1);
    for (let count = 0; count < 20; count += 1) {
      w.look(applied(150, 1500));
      await w.settled();
      w.now += 1000;
    }
    assert.equal(w.journal.entries.length, 6);
  });

  test('gets a position that is not followed by a look when it is a second since the last one', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const w = world();
    const pass = (ms: number): void => {
      w.now += ms;
      t.mock.timers.tick(ms);
    };
    w.look();
    await w.settled();
    pass(10);
    w.look(applied(101, 1010));
    pass(200);
    w.look(applied(102, 1020));
    pass(789);
    assert.equal(w.journal.entries.length, 1);
    pass(1);
    assert.equal(w.journal.entries.length, 2);
    assert.equal(w.journal.entries.at(-1)?.slave?.position, 1020);
    assert.deepEqual([w.journal.flushed, w.changes()], [[1], 1]);
  });

  test('gets where a takeover record ended at once, but that is no change of role', async () => {
    const w = world();
    w.look();
    const promoted = { vip: true, links: [], readOnly: false };
    w.look(promoted);
    const told = w.changes();
    await w.settled();
    w.now += 20;
    w.look({ ...promoted, ...wrote(101, 700) });
    assert.equal(w.journal.flushed.at(-1), w.journal.entries.length);
    assert.equal(w.journal.entries.at(-1)?.position, 700);
    assert.equal(w.journal.entries.at(-1)?.takeover?.ownPosition, 400);
    assert.equal(w.changes(), told);
  });

  test('gets nothing before the first look, and nothing again after a restart', async () => {
    const before = world();
    before.vip = true;
    before.state.sawVip();
    before.state.sawPeer(PEER);
    assert.deepEqual(before.journal.entries, []);
    before.look();
    await before.state.flush();
    const w = world(before.journal.latest());
    w.look();
    assert.deepEqual(w.journal.entries, []);
    assert.equal(w.changes(), 0);
  });

  test('gets what the peer says, and at the end what it lacks', async () => {
    const w = world();
    w.look();
    await w.settled();
    w.now += 1000;
    w.state.sawPeer(PEER);
    await w.settled();
    assert.deepEqual(w.journal.entries.at(-1)?.peer, PEER);
    w.now += 10;
    w.state.sawPeer({ ...PEER, position: 2000 });
    assert.equal(w.journal.entries.length, 2);
    await w.state.flush();
    assert.equal(w.journal.entries.at(-1)?.peer?.position, 2000);
    await w.state.flush();
    assert.equal(w.journal.entries.length, 3);
  });

  test('listeners that left are not called', () => {
    const w = world();
    let called = 0;
    w.state.onChange(() => (called += 1))();
    w.look();
    assert.equal(called, 0);
    assert.equal(w.changes(), 1);
  });
});

test('why there is no takeover record is told once', () => {
  const w = world();
  w.look();
  w.look({ vip: true, links: [], readOnly: false, gtidSlavePos: new Map() });
  w.look({ vip: true, links: [], readOnly: false, gtidSlavePos: new Map() });
  assert.equal(w.said('there is a takeover record now'), 1);
  assert.equal(w.said('there is no takeover record'), 1);
  assert.equal(w.lines.at(-1)?.['reason'], 'AppliedSince');
});
