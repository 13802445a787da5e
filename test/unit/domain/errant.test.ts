import assert from 'node:assert/strict';
import { test } from 'node:test';
import { followedNow, noticeMixed, readMixed } from '../../../src/domain/errant.ts';
import type { Answers, Evidence, Run, WalkQuestion } from '../../../src/domain/evidence.ts';
import { questionKey } from '../../../src/domain/evidence.ts';
import { known } from '../../../src/domain/fact.ts';
import { newLineage, rememberMember } from '../../../src/domain/lineage.ts';
import type { MemberMemory, Mixed } from '../../../src/domain/memory.ts';
import type { Coordinates, Link, ServerLook } from '../../../src/domain/observation.ts';
import { link, look, memberAt, NOW, state, WALL } from './pair-fixture.ts';

/** b (server id 2) logs what it applies of a (server id 1). */

const FROM = { file: 'b-bin.000005', position: 700 };
const THROUGH = { file: 'b-bin.000005', position: 900 };

function logged(text: string, change: Partial<ServerLook> = {}): ServerLook {
  return look('b', 2, { gtidBinlogState: state(text), end: THROUGH, ...change });
}

interface Seen {
  readonly held?: boolean;
  readonly late?: boolean;
  /** Another one follows it, by GTID, and has this of it. */
  readonly follower?: { readonly has: string } & Partial<Link>;
}

const OLDER = { file: 'b-bin.000005', position: 500 };

/** What is to be read after a second look; `older`: what a look before the first showed. */
function noticed(
  before: string,
  after: string,
  first: Seen | null,
  second: Seen,
  { older, ...change }: Partial<ServerLook> & { readonly older?: string } = {},
): Mixed | null {
  const begun = newLineage(
    'b',
    logged(older ?? before, { ...change, end: older === undefined ? FROM : OLDER }),
    WALL - 2000,
  );
  const earlier = rememberMember(begun, 'b', logged(before, { ...change, end: FROM }), WALL - 1000);
  const seen = first === null ? earlier : noticeMixed(earlier, undefined, nowOf(earlier, first));
  const later = rememberMember(seen, 'b', logged(after, change), WALL);
  return noticeMixed(later, earlier.anchors.at(-1), nowOf(later, second)).mixed;
}

function nowOf(memory: MemberMemory, { held = false, late = false, follower }: Seen) {
  const { lastLook } = memory;
  assert.ok(lastLook !== undefined);
  const { has = '', ...change } = follower ?? {};
  const links = follower === undefined ? [] : [link({ sourceServerId: 2, usingGtid: 'Slave_Pos', ...change })];
  const other = memberAt('a', '10.0.0.11', look('a', 1, { gtidBinlogState: state(has), links }));
  return { held, late, ...followedNow([other], memory, lastLook) };
}

test('what a standby writes itself is read, alone or among what it applies', () => {
  assert.deepEqual(noticed('0-1-100', '0-1-100,0-2-101', {}, {}), {
    from: FROM,
    before: state('0-1-100'),
    through: THROUGH,
    until: THROUGH,
    first: true,
    order: false,
  });
  assert.equal(noticed('0-1-100', '0-1-105,0-2-101', {}, {})?.order, true);
  assert.equal(noticed('0-1-100', '0-1-105', {}, {}), null, 'it only applies');
  assert.equal(noticed('0-1-100,0-2-50', '0-1-105,0-2-50', {}, {}), null, 'its own are of before');
  assert.notEqual(
    noticed('0-1-100,0-2-101', '0-1-105,0-2-101', {}, {}),
    null,
    'what it applied may come behind its own',
  );
});

test('what it writes as the holder, watched without a gap, is everybody else`s too', () => {
  const holds = { held: true };
  assert.equal(noticed('0-2-100', '0-2-105', holds, holds), null);
  assert.equal(noticed('0-2-100', '0-2-105', {}, holds), null, 'it took the VIP in between, and wrote then');
  assert.equal(noticed('0-1-100', '0-1-105,0-2-106', {}, holds)?.first, false, 'only the order is looked at then');
  assert.notEqual(noticed('0-2-100', '0-2-105', holds, {}), null, 'it lost the VIP in between');
  assert.notEqual(noticed('0-2-100', '0-2-105', null, holds), null, 'nobody had looked');
  assert.notEqual(noticed('0-2-100', '0-2-105', holds, { ...holds, late: true }), null, 'nobody looked for long');
});

test('who follows it by GTID is at no place that somebody chose', () => {
  const late = { held: true, late: true };
  const follower = { has: '0-2-100', io: 'Connecting' } as const;
  assert.equal(noticed('0-2-100', '0-2-105', late, { ...late, follower }), null);
  assert.notEqual(noticed('0-2-100', '0-2-105', late, { ...late, follower: { ...follower, usingGtid: 'No' } }), null);
});

test('what another one takes in all the time is missing nowhere', () => {
  const fed = { follower: { has: '0-1-100,0-2-101' } };
  assert.equal(noticed('0-1-100,0-2-101', '0-1-104,0-2-105', fed, fed), null);
  assert.equal(noticed('0-1-100,0-2-101', '0-1-104,0-2-105', fed, { ...fed, late: true }), null);
  assert.notEqual(noticed('0-1-100,0-2-101', '0-1-104,0-2-105', {}, fed), null, 'it began to in between');
});

test('over a half-open link nothing comes, and it shows no error for a while: what it had then is where reading begins', () => {
  const stalled = { follower: { has: '0-1-100,0-2-101' } };
  const broken = { follower: { has: '0-1-100,0-2-101', io: 'Connecting' } as const };
  const mixed = noticed('0-1-102,0-2-103', '0-1-104,0-2-105', stalled, broken, { older: '0-1-100,0-2-101' });
  assert.deepEqual(mixed?.from, OLDER);
  assert.deepEqual(mixed.before, state('0-1-100,0-2-101'));
});

test('without log_slave_updates its binlog has only its own', () => {
  const without = { logSlaveUpdates: false };
  assert.equal(noticed('0-2-100', '0-2-105', {}, {}, without)?.order, false);
  assert.equal(noticed('0-2-100', '0-2-105', { held: true }, { held: true }, without), null);
});

interface Walked {
  readonly before: string;
  readonly walk: readonly string[];
  readonly cut?: boolean;
  readonly until?: Coordinates;
  readonly first?: boolean;
  readonly has?: readonly Run[];
}

function read({ before, walk, cut = false, until = THROUGH, first = true, has = [] }: Walked): MemberMemory {
  const now = logged('0-1-200,0-2-200');
  const mixed = { from: FROM, before: state(before), through: THROUGH, until, first, order: true };
  const memory = { ...newLineage('b', now, WALL), mixed, errant: has };
  const question: WalkQuestion = {
    kind: 'Walk',
    member: 'b',
    incarnation: '1',
    from: FROM,
    through: THROUGH,
    firstOnly: false,
  };
  const transactions = walk.map((text, index) => {
    const [gtid] = [...state(text)].flatMap(([domain, servers]) =>
      [...servers].map(([serverId, seq]) => ({ domain, serverId, seq })),
    );
    assert.ok(gtid !== undefined);
    const at = { ...FROM, position: FROM.position + index * 10 };
    return { gtid, at, timestamp: WALL, bytes: 10, tables: null };
  });
  const answer = known<Answers['Walk']>({ transactions, truncated: cut ? 'time' : null }, NOW);
  const evidence = new Map([[questionKey(question), answer]]) as Evidence;
  const observed = memberAt('b', '10.0.0.12', now);
  return readMixed(memory, { observed, look: now, others: [], evidence }).memory;
}

function runs(walked: Walked): string[] {
  return read(walked).errant.map(({ domain, serverId, first, last }) => `${domain}-${serverId}-${first} to ${last}`);
}

test('behind its own a number of another server that is not higher was written at the same time', () => {
  const walk = ['0-2-101', '0-2-102', '0-1-101', '0-1-102', '0-1-103', '0-2-104'];
  assert.deepEqual(runs({ before: '0-1-100', walk, first: false }), ['0-2-101 to 102']);
  assert.deepEqual(runs({ before: '0-1-100,0-2-102', walk: ['0-1-101', '0-1-102'] }), ['0-2-102 to 102']);
  assert.deepEqual(
    runs({ before: '0-1-100,0-3-200', walk: ['0-2-201', '0-2-202', '0-1-101'], first: false }),
    ['0-2-201 to 202'],
    'numbers of others lie between: only its own are named',
  );
  assert.deepEqual(runs({ before: '0-1-100,0-2-90', walk: ['0-1-101', '0-1-102'] }), []);
});

test('and the first of its own may be before the place at which another one was attached', () => {
  assert.deepEqual(runs({ before: '0-1-100', walk: ['0-1-101', '0-2-102', '0-2-103'] }), ['0-2-102 to 102']);
  assert.deepEqual(runs({ before: '0-1-100', walk: ['0-1-101', '2-2-1', '2-2-2', '0-2-102'] }), [
    '0-2-102 to 102',
    '2-2-1 to 1',
  ]);
});

test('a look reads the end first: what it shows of later is not before', () => {
  assert.deepEqual(runs({ before: '0-1-100,0-2-102', walk: ['0-1-101', '0-2-102'] }), ['0-2-102 to 102']);
});

test('a walk that was cut goes on where it ended, and what was logged meanwhile is read after it', () => {
  const cut = read({ before: '0-1-100', walk: ['0-2-101', '0-1-101', '0-1-102'], cut: true });
  assert.deepEqual(cut.mixed?.from, { ...FROM, position: FROM.position + 20 });
  assert.deepEqual(cut.mixed?.before, state('0-1-101,0-2-101'));
  const until = { ...THROUGH, position: 2000 };
  const { mixed } = read({ before: '0-1-100', walk: ['0-2-101'], until });
  assert.deepEqual([mixed?.from, mixed?.through], [THROUGH, until]);
  assert.equal(read({ before: '0-1-100', walk: ['0-2-101'] }).mixed, null);
});

test('a transaction that is too long to be read is not waited for: what it wrote itself since counts', () => {
  const stuck = read({ before: '0-1-100,0-2-150', walk: ['0-1-101'], cut: true });
  assert.equal(stuck.mixed, null);
  assert.deepEqual(stuck.errant, [{ domain: 0, serverId: 2, first: 200n, last: 200n }]);
});

test('both ends are asked for, so what ends elsewhere is another one; of too many the last are taken together', () => {
  const run = (first: bigint, last: bigint): Run => ({ domain: 0, serverId: 2, first, last });
  assert.deepEqual(runs({ before: '0-1-100', walk: ['0-2-101'], has: [run(90n, 100n)] }), [
    '0-2-90 to 100',
    '0-2-101 to 101',
  ]);
  assert.deepEqual(runs({ before: '0-1-100', walk: ['0-2-101', '0-2-102', '0-1-101', '0-1-102'], first: false }), [
    '0-2-101 to 102',
  ]);
  const many = Array.from({ length: 16 }, (_, index) => run(BigInt(index * 10 + 1), BigInt(index * 10 + 2)));
  const told = runs({ before: '0-1-100', walk: ['0-2-190'], has: many });
  assert.equal(told.length, 16);
  assert.equal(told.at(-1), '0-2-151 to 190');
});

interface Peer extends Partial<ServerLook> {
  /** With what its oldest file begins; absent: not read yet. */
  readonly begins?: string;
  /** What its binlog has of the two ends; absent: not asked yet. */
  readonly has?: readonly boolean[];
}

/** Whether 0-2-101 to 0-2-103 are still errant, and what is asked. */
function compared({ has, begins, ...peer }: Peer) {
  const files = [{ name: 'a-bin.000001', size: 100 }];
  const now = logged('0-1-100,0-2-103');
  const errant = [{ domain: 0, serverId: 2, first: 101n, last: 103n }];
  const memory = { ...newLineage('b', now, WALL), errant };
  const other = memberAt('a', '10.0.0.11', look('a', 1, { gtidBinlogState: state('0-1-100,0-2-103'), files, ...peer }));
  const found = { timestamp: WALL, kind: 'rows', digest: 'a', summary: '', bytes: 1, tables: [] };
  const head = { kind: 'FileHeader', member: 'a', incarnation: '1', file: 'a-bin.000001' } as const;
  const header = { createdAt: WALL, byServerStart: true, encrypted: false, gtidList: state(begins ?? '') };
  const evidence = new Map<string, unknown>([
    ...(begins === undefined ? [] : [[questionKey(head), known<Answers['FileHeader']>(header, NOW)] as const]),
    ...(has ?? []).map((one, index) => {
      const gtid = index === 0 ? '0-2-101' : '0-2-103';
      const question = { kind: 'Transaction', server: { member: 'a' }, incarnation: '1', gtid } as const;
      return [questionKey(question), known<Answers['Transaction']>({ found: one ? found : null }, NOW)] as const;
    }),
  ]) as unknown as Evidence;
  const observed = memberAt('b', '10.0.0.12', now);
  const result = readMixed(memory, { observed, look: now, others: [other], evidence });
  const [run] = result.memory.errant;
  return { errant: run === undefined ? 'none' : (run.lackedBy ?? 'open'), asked: result.questions.length };
}

test('what its peer has is missing nowhere: both ends are asked for', () => {
  assert.deepEqual(compared({}), { errant: 'open', asked: 2 });
  assert.deepEqual(compared({ has: [true] }), { errant: 'open', asked: 1 });
  assert.deepEqual(compared({ has: [true, true] }), { errant: 'none', asked: 0 });
  assert.deepEqual(compared({ has: [false, true] }), { errant: 'open', asked: 1 }, 'its binlog may begin behind that');
  assert.deepEqual(compared({ has: [false, true], begins: '0-1-90' }), { errant: 'a', asked: 0 });
  assert.deepEqual(compared({ has: [true, false], begins: '0-1-90' }), { errant: 'a', asked: 0 });
  assert.deepEqual(compared({ has: [false, true], begins: '0-2-102' }), { errant: 'open', asked: 0 });
});

test('a peer that may still get it is not asked yet; what one leaves out on purpose is no matter', () => {
  assert.deepEqual(compared({ gtidBinlogState: state('0-1-100') }), { errant: 'open', asked: 0 });
  assert.deepEqual(compared({ links: [link({ filters: { Replicate_Do_DB: 'app' } })] }), { errant: 'none', asked: 0 });
});
