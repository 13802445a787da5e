import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { audit } from '../../../src/domain/audit.ts';
import { known, NOT_ASKED_YET, unknown } from '../../../src/domain/fact.ts';
import type { Fact } from '../../../src/domain/fact.ts';
import { newLineage } from '../../../src/domain/lineage.ts';
import type { Alive, MemberMemory } from '../../../src/domain/memory.ts';
import type { MemberObservation, ServerLook } from '../../../src/domain/observation.ts';
import { declared, followsHost, standingOf, stillAlive, stillAnswering } from '../../../src/domain/shared.ts';
import type { SeenMember, SharedInput, Standing } from '../../../src/domain/shared.ts';
import { calmPair, look, memberAt, NOW, POLICY, position, WALL } from './pair-fixture.ts';

/** A server of one data directory, on the host of this name. */
function on(name: string, change: Partial<ServerLook> = {}): ServerLook {
  const end = { file: 'mysql-bin.000003', position: 900 };
  const files = [{ name: end.file, size: end.position }];
  const logBinBasename = '/var/lib/mysql/mysql-bin';
  return { ...look(name, 1), links: [], gtidSlavePos: position(''), logBinBasename, end, files, ...change };
}

function remembered(name: string, change: Partial<MemberMemory> = {}): MemberMemory {
  return { ...newLineage(name, on(name), WALL - 60_000), ...change };
}

function observed(name: string, fact: Fact<ServerLook>): MemberObservation {
  return { ...memberAt(name, '10.0.0.1', on(name)), look: fact };
}

const DEAD = unknown('Deadline', 'no answer', NOW - 10);

interface Case {
  readonly a?: Fact<ServerLook>;
  readonly b?: Partial<ServerLook>;
  readonly members?: readonly MemberMemory[];
  readonly topology?: SharedInput['topology'];
  readonly alive?: ReadonlyMap<string, Alive>;
}

/** What is made of b, which is seen alive. */
function ofB({ a = DEAD, b, members = [remembered('a')], topology = 'Auto', alive = new Map() }: Case = {}): Standing {
  const seen: SeenMember = { observed: observed('b', known(on('b', b), NOW)), look: on('b', b), lookAt: NOW };
  const observation = { ...calmPair().observation, members: [observed('a', a), seen.observed] };
  const input = { observation, members: new Map(members.map((one) => [one.name, one])), alive, topology };
  return standingOf(input, seen);
}

const SHARED = { tenure: 1, from: null };

describe('a member that comes up where another one was', () => {
  test('goes on with its memory, in question, once that one does not answer', () => {
    const standing = ofB();
    assert.equal(standing.kind, 'Heir');
    assert.ok(standing.kind === 'Heir');
    const { name, lineage, inQuestion, storage } = standing.memory;
    assert.deepEqual([name, lineage, inQuestion], ['b', remembered('a').lineage, true]);
    assert.deepEqual(storage, { tenure: 1, from: 'a' });
  });

  test('is asked about again while that one answers, or was not asked yet', () => {
    for (const a of [known(on('a'), NOW - 400), NOT_ASKED_YET]) {
      const standing = ofB({ a });
      assert.ok(standing.kind === 'Later', standing.kind);
      assert.deepEqual(standing.questions, [{ kind: 'LiveLook', target: { member: 'a' }, after: 0 }]);
    }
  });

  test('one that refuses mxr answers', () => {
    assert.equal(ofB({ a: unknown('AccessDenied', 'refused', NOW - 10) }).kind, 'Own');
  });

  const OTHERS: readonly (readonly [string, Case])[] = [
    ['another server_id', { b: { identity: { ...on('b').identity, serverId: 2 } } }],
    ['another data directory', { b: { identity: { ...on('b').identity, datadir: '/srv/b/' } } }],
    ['another binlog name that is not the host', { b: { logBinBasename: '/var/lib/mysql/other' } }],
    ['a link to somebody', { b: { links: look('b', 1).links } }],
    ['no binlog', { b: { logBin: false } }],
    ['a memory of its own', { members: [remembered('a'), remembered('b', { lineage: 'b@before' })] }],
    ['a pair that is declared as one of two servers', { topology: 'PrimaryStandby' }],
    ['a dual primary', { topology: 'DualPrimary' }],
  ];
  for (const [what, change] of OTHERS) {
    test(`with ${what} it is a server of its own, where nobody says that the storage is shared`, () => {
      assert.equal(ofB(change).kind, 'Own');
    });
  }

  test('where it is declared, neither ids nor an older memory of its own count', () => {
    const b = { identity: { ...on('b').identity, serverId: 2, datadir: '/srv/mysql/' } };
    const older = { ...newLineage('b', on('b'), WALL - 90_000_000), lineage: 'b@before' };
    assert.equal(ofB({ topology: 'SharedStorage', b, members: [remembered('a'), older] }).kind, 'Heir');
  });

  test('a binlog that is named after each host looks alike', () => {
    const named = { ...remembered('a'), logBinBasename: '/var/lib/mysql/a-bin' };
    assert.equal(ofB({ members: [named], b: { logBinBasename: '/var/lib/mysql/b-bin' } }).kind, 'Heir');
  });

  test('going back, the newest memory counts, not its own older one', () => {
    const newer = remembered('a', { lineage: 'L', storage: SHARED });
    const own = remembered('b', { storage: { tenure: 0, from: null } });
    const restarted = { identity: { ...on('b').identity, startedAt: WALL } };
    const standing = ofB({ members: [newer, own], b: restarted });
    assert.ok(standing.kind === 'Heir', standing.kind);
    assert.deepEqual([standing.memory.lineage, standing.memory.storage], ['L', { tenure: 2, from: 'a' }]);
  });

  test('what another one only inherited, and never was proven to have, is not its own', () => {
    const inherited = remembered('a', { inQuestion: true, storage: { tenure: 7, from: 'b' } });
    assert.equal(ofB({ members: [inherited, remembered('b', { storage: { tenure: 6, from: null } })] }).kind, 'Own');
  });

  test('nothing is concluded of it while the other one may live', () => {
    const { lineage } = remembered('a');
    const heir = remembered('b', { lineage, storage: { tenure: 1, from: 'a' } });
    const seen = { observed: observed('b', known(on('b'), NOW)), look: on('b'), lookAt: NOW };
    const members = new Map([heir, remembered('a')].map((one) => [one.name, one]));
    const asked = (a: Fact<ServerLook>) => {
      const observation = { ...calmPair().observation, members: [observed('a', a), seen.observed] };
      return stillAnswering({ observation, members, alive: new Map(), topology: 'Auto' }, seen).length;
    };
    assert.deepEqual([asked(known(on('a'), NOW)), asked(NOT_ASKED_YET), asked(DEAD)], [1, 1, 0]);
  });
});

describe('two hosts that were both seen alive', () => {
  const both = (b: Alive, a: Alive = { incarnation: 1, from: 0, to: NOW }) => new Map([...Object.entries({ a, b })]);

  test('are two servers, only if their lives overlap for certain', () => {
    const here = known(on('a'), NOW - 400);
    assert.equal(ofB({ a: here, alive: both({ incarnation: 2, from: NOW - 500, to: NOW }) }).kind, 'Beside');
    // Its first look was over only after the last one that the other answered.
    const after = both({ incarnation: 2, from: NOW - 300, to: NOW }, { incarnation: 1, from: 0, to: NOW - 400 });
    assert.equal(ofB({ a: here, alive: after }).kind, 'Later');
  });

  test('also where one lived on all the while that the other one had the storage', () => {
    const members = [remembered('a', { storage: SHARED }), remembered('b', { storage: { tenure: 0, from: null } })];
    assert.equal(ofB({ members }).kind, 'Beside');
  });

  test('stay two servers, whatever is declared', () => {
    const members = [remembered('a', { besideAt: WALL }), remembered('b', { besideAt: WALL })];
    const restarted = { identity: { ...on('b').identity, startedAt: WALL } };
    assert.equal(ofB({ members, topology: 'SharedStorage', b: restarted }).kind, 'Own');
    assert.equal(declared(remembered('a', { besideAt: WALL }), 'SharedStorage').storage, null);
  });

  test('a life is certain from the end of its first look to the begin of its last one', () => {
    const pass = (now: number, at: number, incarnation: number, before: ReadonlyMap<string, Alive>) => {
      const a = { ...observed('a', known(on('a'), at)), incarnation };
      return stillAlive(before, { ...calmPair().observation, now, members: [a] });
    };
    const first = pass(1000, 900, 1, new Map());
    assert.deepEqual(first.get('a'), { incarnation: 1, from: 1000, to: 900 });
    const second = pass(2000, 1900, 1, first);
    assert.deepEqual(second.get('a'), { incarnation: 1, from: 1000, to: 1900 });
    assert.deepEqual(pass(3000, 2900, 2, second).get('a'), { incarnation: 2, from: 3000, to: 2900 });
  });
});

describe('the audit of a shared storage', () => {
  function found(members: readonly MemberMemory[], seen: readonly MemberObservation[], topology = POLICY.topology) {
    const { observation, diagnosis } = calmPair({ replicas: 0 });
    const memory = { members: new Map(members.map((one) => [one.name, one])), replicas: new Map() };
    const policy = { ...POLICY, topology };
    return audit({
      policy,
      observation: { ...observation, members: seen },
      memory,
      diagnosis,
      lastHolder: 'a',
      holderSince: 0,
      netTimeoutSeconds: 8,
      plainPublishers: [],
    });
  }
  const names = (findings: ReturnType<typeof found>) =>
    findings.map(({ finding, severity, subject }) => `${finding} ${severity} ${subject}`);
  const a = observed('a', known(on('a'), NOW));
  const b = observed('b', DEAD);

  test('expects nobody to answer on the other host, once it is known', () => {
    const settled = [remembered('a', { storage: SHARED }), remembered('b', { storage: { tenure: 0, from: null } })];
    assert.deepEqual(names(found(settled, [a, b])), []);
    const [unknownYet] = found([remembered('a')], [a, b]);
    assert.equal(unknownYet?.finding, 'StandbyUnreachable');
    assert.match(unknownYet.message, /set source.topology: SharedStorage/);
  });

  test('warns where the binlog is named after the host, until a move has shown that it is not', () => {
    const named = on('a', { logBinBasename: '/var/lib/mysql/a-bin' });
    const [memory, seen] = [newLineage('a', named, WALL), observed('a', known(named, NOW))];
    const [warning] = found([memory], [seen, b], 'SharedStorage');
    assert.deepEqual([warning?.finding, warning?.severity], ['BinlogNameFollowsHost', 'warning']);
    assert.match(warning?.message ?? '', /a-bin.*Set log_bin=mysql-bin/);
    const shared = { ...memory, storage: SHARED };
    const other = { ...newLineage('b', { ...named, identity: on('b').identity }, WALL), storage: SHARED };
    assert.deepEqual(names(found([shared, other], [seen, b], 'SharedStorage')), []);
    assert.deepEqual(names(found([memory], [seen, b], 'PrimaryStandby')), ['StandbyUnreachable error b']);
  });

  test('says that both ran at one time', () => {
    const members = [remembered('a', { besideAt: WALL }), remembered('b', { besideAt: WALL })];
    const [finding] = found(members, [a, observed('b', known(on('b'), NOW))], 'SharedStorage');
    assert.deepEqual([finding?.finding, finding?.severity], ['SharedStorageTwice', 'error']);
    assert.match(finding?.message ?? '', /a and b run at the same time.*PrimaryStandby/);
    assert.match(found(members, [a, b], 'SharedStorage')[0]?.message ?? '', /ran at the same time/);
    assert.deepEqual(names(found(members, [a, b], 'PrimaryStandby')), ['StandbyUnreachable error b']);
  });

  test('knows the name that MariaDB gives a binlog without one', () => {
    const of = (hostname: string, name: string) =>
      followsHost({ identity: { ...on('a').identity, hostname }, logBinBasename: `/var/lib/mysql/${name}` });
    assert.deepEqual(
      [of('a', 'a-bin'), of('a.example.org', 'a-bin'), of('a.example.org', 'a.example.org-bin'), of('a', 'b-bin')],
      [true, true, true, false],
    );
  });
});
