import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { audit } from '../../../src/domain/audit.ts';
import type { AuditFinding, AuditInput } from '../../../src/domain/audit.ts';
import type { Diagnosis } from '../../../src/domain/situation.ts';
import type { Link, MemberObservation } from '../../../src/domain/observation.ts';
import { newLineage, rememberMember } from '../../../src/domain/lineage.ts';
import type { MemberMemory } from '../../../src/domain/memory.ts';
import type { PairChange } from './pair-fixture.ts';
import {
  calmPair,
  down,
  holderLook,
  link,
  look,
  memberAt,
  NOW,
  POLICY,
  position,
  replicaMemory,
  state,
  WALL,
} from './pair-fixture.ts';

const REST = { lastHolder: 'a', holderSince: 0, netTimeoutSeconds: 8, plainPublishers: [] };

function input(change: PairChange = {}, over: Partial<AuditInput> = {}): AuditInput {
  const { observation, memory, diagnosis } = calmPair(change);
  return { policy: POLICY, observation, memory, diagnosis, ...REST, ...over };
}

function found(value: AuditInput): string[] {
  return audit(value).map(({ finding, severity, subject }) => `${finding} ${severity} ${subject}`);
}

function only(value: AuditInput): AuditFinding {
  const findings = audit(value);
  assert.equal(findings.length, 1, JSON.stringify(findings));
  const [first] = findings;
  assert.ok(first);
  return first;
}

function withMembers(value: AuditInput, members: readonly MemberObservation[]): AuditInput {
  return { ...value, observation: { ...value.observation, members } };
}

describe('the audit of a healthy pair', () => {
  test('finds nothing', () => {
    assert.deepEqual(audit(input({ replicas: 3 })), []);
  });

  test('puts errors first', () => {
    const value = input({ a: { settings: { ...look('a', 1).settings, syncBinlog: 0 } }, b: { links: [] } });
    assert.deepEqual(found(value), ['StandbyNotApplying error b', 'SyncBinlogOff warning a']);
  });
});

describe('the standby', () => {
  test('that does not answer', () => {
    const value = input();
    const members = [value.observation.members[0], down('b', '10.0.0.12')].filter((one) => one !== undefined);
    const finding = only(withMembers(value, members));
    assert.deepEqual([finding.finding, finding.severity, finding.subject], ['StandbyUnreachable', 'error', 'b']);
    assert.match(finding.message, /10\.0\.0\.12:3306.*no answer within 1000 ms/);
  });

  test('that takes writes, unless both are meant to', () => {
    const open = { b: { readOnly: false } };
    const finding = only(input(open));
    assert.deepEqual([finding.finding, finding.severity, finding.subject], ['StandbyWritable', 'warning', 'b']);
    assert.match(finding.message, /read_only=0.*Set read_only=1 there.*source\.topology: DualPrimary/);
    assert.deepEqual(audit(input(open, { policy: { ...POLICY, topology: 'DualPrimary' } })), []);
    const ring = { ...open, a: { links: [link({ sourceServerId: 2 })] } };
    assert.deepEqual(audit(input(ring)), [], 'the holder takes in what is written there');
  });

  test('whose writes do not reach the holder: its link to it is broken, not stopped by a promotion', () => {
    const peer = (change: Partial<Link>) => ({ a: { links: [link({ sourceServerId: 2, ...change })] } });
    const stopped = peer({ io: 'No', sql: 'No' });
    assert.deepEqual(found(input(stopped)), []);
    const dual = { policy: { ...POLICY, topology: 'DualPrimary' } } as const;
    assert.deepEqual(found(input(stopped, dual)), ['PeerLinkBroken error a']);
    assert.deepEqual(found(input(peer({}), dual)), []);
    const cut = peer({ io: 'Connecting', ioErrno: 2003, ioError: 'cannot connect' });
    assert.deepEqual(found(input(cut)), ['PeerLinkBroken warning a']);
    const failed = only(input(peer({ sql: 'No', sqlErrno: 1062, sqlError: 'Duplicate entry' }), dual));
    assert.deepEqual([failed.finding, failed.severity, failed.subject], ['PeerLinkBroken', 'error', 'a']);
    assert.match(failed.message, /link of a to b is broken.*1062 Duplicate entry.*START SLAVE on a/);
  });

  test('is still the standby while nobody answers on the VIP', () => {
    const silent: Diagnosis = {
      situation: 'VipSilent',
      message: '',
      holder: null,
      complete: true,
      split: null,
      applying: null,
    };
    const broken = { b: { links: [link({ io: 'Connecting', ioErrno: 2003, ioError: 'cannot connect' })] } };
    assert.deepEqual(found(input(broken, { diagnosis: silent })), ['StandbyNotApplying error b']);
    // An operator that began in the silence knows nothing of who was who, and does not say that all is well.
    assert.deepEqual(found(input(broken, { diagnosis: silent, lastHolder: null })), ['HolderNotSeen error vip']);
  });

  test('that replicates from nobody, receives nothing, or applies nothing, with the errno', () => {
    assert.match(only(input({ b: { links: [] } })).message, /replicates from nobody/);
    const stopped = link({ sql: 'No', sqlErrno: 1062, sqlError: 'Duplicate entry' });
    assert.match(only(input({ b: { links: [stopped] } })).message, /1062 Duplicate entry/);
    const cut = link({ io: 'No', ioErrno: 1236, ioError: 'Could not find first log file' });
    assert.match(only(input({ b: { links: [cut] } })).message, /10\.0\.0\.11:3306.*1236 Could not find/);
    assert.match(only(input({ b: { links: [link({ sql: 'No' })] } })).message, /it was stopped/);
  });

  test('that replicates from a stranger', () => {
    const finding = only(input({ b: { links: [link({ sourceServerId: 77, host: '10.9.9.9' })] } }));
    assert.equal(finding.finding, 'StandbyNotApplying');
    assert.match(finding.message, /server_id 77, which is none of the members/);
  });

  test('of a shared storage is not expected to answer', () => {
    const named = { a: { logBinBasename: '/var/lib/mysql/mysql-bin' } };
    const value = input(named, { policy: { ...POLICY, topology: 'SharedStorage' } });
    const members = [value.observation.members[0], down('b', '10.0.0.12')].filter((one) => one !== undefined);
    assert.deepEqual(found(withMembers(value, members)), []);
  });

  test('without log_slave_updates is a warning, without a binlog an error', () => {
    assert.deepEqual(found(input({ b: { logSlaveUpdates: false } })), ['StandbyLogSlaveUpdatesOff warning b']);
    assert.deepEqual(found(input({ b: { logBin: false } })), ['StandbyLogSlaveUpdatesOff error b']);
  });
});

describe('a lagging standby', () => {
  /** The holder wrote 101 this long ago; the standby has 100. */
  function lagging(seconds: number, change: PairChange = {}): AuditInput {
    const value = input(change);
    const wrote = holderLook({
      gtidBinlogPos: position('0-1-101'),
      gtidBinlogState: state('0-1-101'),
      end: { file: 'a-bin.000003', position: 1000 },
    });
    const before = newLineage('a', holderLook(), WALL - seconds * 1000);
    const holder = rememberMember(before, 'a', wrote, WALL);
    return { ...value, memory: { ...value.memory, members: new Map([...value.memory.members, ['a', holder]]) } };
  }

  test('is an error over 5 s, measured from when it last had everything', () => {
    const finding = only(lagging(6));
    assert.deepEqual([finding.finding, finding.severity, finding.subject], ['StandbyLagging', 'error', 'b']);
    assert.match(finding.message, /b is 6 s behind a/);
    assert.deepEqual(found(lagging(5)), []);
  });

  test('is not behind while nothing was written that it lacks, however long ago it was seen', () => {
    const value = input();
    const holder = newLineage('a', holderLook(), WALL - 3_600_000);
    assert.deepEqual(
      found({ ...value, memory: { ...value.memory, members: new Map([...value.memory.members, ['a', holder]]) } }),
      [],
    );
  });

  test('by its own word where mxr never saw it up to date', () => {
    const behind = {
      gtidBinlogPos: position('0-1-50'),
      gtidBinlogState: state('0-1-50'),
      gtidSlavePos: position('0-1-50'),
    };
    const delayed = { ...behind, links: [link({ secondsBehind: 3600, delay: 3600 })] };
    assert.match(only(input({ b: delayed })).message, /3600 s behind a \(it has MASTER_DELAY=3600\)/);
    assert.deepEqual(found(input({ b: { ...behind, links: [link({ secondsBehind: null })] } })), []);
  });

  test('that does not log what it applies is measured by what it applied', () => {
    const applied = { logSlaveUpdates: false, gtidBinlogState: state(''), gtidBinlogPos: position('') };
    assert.deepEqual(found(input({ b: applied })), ['StandbyLogSlaveUpdatesOff warning b']);
  });
});

describe("a standby's own writes", () => {
  const errant = { gtidBinlogState: state('0-1-100,0-2-101') };

  test('are an error that lists them', () => {
    const finding = only(input({ b: errant }));
    assert.deepEqual([finding.finding, finding.severity, finding.subject], ['StandbyOwnWrites', 'error', 'b']);
    assert.match(finding.message, /0-2-101/);
  });

  test('in a domain of its own too', () => {
    assert.match(only(input({ b: { gtidBinlogState: state('0-1-100,5-2-3') } })).message, /5-2-3/);
  });

  test('that later ones hide are told once the holder was seen to lack them', () => {
    const hidden = { gtidBinlogState: state('0-1-100,0-2-110') };
    const value = input({ a: hidden, b: hidden });
    const { b } = calmPair({ a: hidden, b: hidden });
    const run = { domain: 0, serverId: 2, first: 101n, last: 103n };
    const withRun = (errant: MemberMemory['errant']) => {
      const members = new Map([...value.memory.members, ['b', { ...newLineage('b', b, WALL), errant }] as const]);
      return { ...value, memory: { ...value.memory, members } };
    };
    assert.deepEqual(found(withRun([run])), [], 'nobody was asked yet');
    const finding = only(withRun([{ ...run, lackedBy: 'a' }]));
    assert.deepEqual([finding.finding, finding.severity, finding.subject], ['StandbyOwnWrites', 'error', 'b']);
    assert.match(finding.message, /0-2-101 to 0-2-103 by itself, which a lacks/);
  });

  test('are not accused by a look at the holder that began before they were seen, and stay told afterwards', () => {
    const value = input({ b: errant });
    const { a, b } = calmPair({ b: errant });
    const olderHolder = [memberAt('a', '10.0.0.11', a, NOW - 50), memberAt('b', '10.0.0.12', b, NOW - 10)];
    const seenAt = (wall: number) => ({
      ...withMembers(value, olderHolder),
      memory: { ...value.memory, members: new Map([...value.memory.members, ['b', newLineage('b', b, wall)]]) },
    });
    assert.deepEqual(found(seenAt(WALL - 40)), []);
    assert.deepEqual(found(seenAt(WALL - 60)), ['StandbyOwnWrites error b']);
  });

  test('that the holder takes in (dual primaries) are none', () => {
    const both = { a: { links: [link({ host: '10.0.0.12', sourceServerId: 2 })] }, b: errant };
    assert.deepEqual(found(input(both)), []);
    const no = { io: 'No', sql: 'No' } as const;
    const stopped = { a: { links: [link({ host: '10.0.0.12', sourceServerId: 2, ...no })] }, b: errant };
    assert.deepEqual(found(input(stopped)), ['StandbyOwnWrites error b']);
  });

  test('of its time as the primary are none: the holder applied them without logging them', () => {
    const history = {
      a: { logSlaveUpdates: false, gtidBinlogState: state('0-1-200'), gtidSlavePos: position('0-2-101') },
      b: { gtidBinlogState: state('0-2-101,0-1-200') },
    };
    assert.deepEqual(found(input(history)), []);
  });

  test('that a later primary may have covered are not accused: a position names only the last of a domain', () => {
    const third = { a: { gtidSlavePos: position('0-3-150') }, b: { gtidBinlogState: state('0-2-101,0-1-100') } };
    assert.deepEqual(found(input(third)), []);
    assert.deepEqual(found(input({ ...third, b: { gtidBinlogState: state('0-2-151,0-1-100') } })), [
      'StandbyOwnWrites error b',
    ]);
  });
});

describe('replicas', () => {
  test('without a baseline are not adopted', () => {
    const value = input();
    const memory = {
      ...value.memory,
      replicas: new Map([['orders-0', replicaMemory('orders-0', { baseline: null })]]),
    };
    assert.deepEqual(found({ ...value, memory }), ['NotAdopted error orders-0']);
    assert.deepEqual(found({ ...value, memory: { ...memory, replicas: new Map() } }), ['NotAdopted error orders-0']);
  });

  test('that dial the VIP are an error, and a warning where the user chose it', () => {
    const dials = { replica: { links: [link({ host: '10.0.0.100' })] } };
    assert.deepEqual(found(input(dials)), ['VipLink error orders-0']);
    assert.match(only(input(dials)).message, /spec\.link\.through: VIP/);
    assert.deepEqual(found(input(dials, { policy: { ...POLICY, through: 'VIP' } })), ['VipLink warning orders-0']);
  });

  test('older than a member: an error where a failover would bring it, a warning where it is so already', () => {
    const old = { replica: { version: '10.6.21-MariaDB' } };
    assert.deepEqual(found(input(old)), ['VersionOrder warning orders-0']);
    const upgraded = { b: { version: '11.4.2-MariaDB-log' } };
    assert.deepEqual(found(input(upgraded)), ['VersionOrder error orders-0']);
    assert.deepEqual(found(input({ replica: { version: '10.11.2-MariaDB' } })), [], 'the patch level does not count');
    assert.deepEqual(found(input({ replica: { version: '11.4.2-MariaDB' } })), [], 'newer is fine');
  });

  test('without a log of what they apply, and with a timeout that is not the wanted one, are warnings', () => {
    assert.deepEqual(found(input({ replica: { logSlaveUpdates: false } })), [
      'ReplicaLogSlaveUpdatesOff warning orders-0',
    ]);
    const finding = only(input({}, { netTimeoutSeconds: 4 }));
    assert.deepEqual([finding.finding, finding.severity], ['LinkSettingsNotPersistent', 'warning']);
    assert.match(finding.message, /slave_net_timeout=8 by its configuration.*is 4.*Write slave_net_timeout=4/);
  });
});

describe('server ids', () => {
  test('shared by members, by a member and a replica, or by replicas are one error each', () => {
    const id = (name: string, serverId: number) => ({ identity: look(name, serverId).identity });
    assert.deepEqual(found(input({ replica: id('orders-0', 2) })), ['EqualServerIds error b']);
    const all = audit(input({ replicas: 8, replica: id('orders', 40) }));
    assert.equal(all.length, 1);
    assert.match(all[0]?.message ?? '', /orders-0, .* and 3 more have one server_id \(40\)/);
    const members = found(input({ b: id('b', 1) }));
    assert.ok(members.includes('EqualServerIds error a'), members.join());
  });

  test('shared by the pair: whether it replicates all the same, what that costs, and what to do', () => {
    const about = (over: Parameters<typeof link>[0]): string => {
      const b = { identity: look('b', 1).identity, links: [link(over)] };
      return audit(input({ b })).find(({ finding }) => finding === 'EqualServerIds')?.message ?? '';
    };
    const refuses = about({ io: 'No', ioErrno: 1593, ioError: 'equal MariaDB server ids' });
    assert.match(
      refuses,
      /a, b have one server_id \(1\): b refuses to replicate from 10\.0\.0\.11:3306 \(error 1593\)/,
    );
    assert.match(refuses, /Give each member a server_id of its own/);
    const replicates = about({ sourceServerId: 1 });
    assert.match(replicates, /replicate_same_server_id.*exactly at the takeover point.*Give each member/);
  });
});

describe('filters of a member', () => {
  test('what it leaves out of its binlog, and of what it replicates, is named', () => {
    const { settings } = look('a', 1);
    const binlog = only(input({ a: { settings: { ...settings, binlogDoDb: 'app', binlogIgnoreDb: 'scratch' } } }));
    assert.deepEqual([binlog.finding, binlog.severity, binlog.subject], ['MemberFilters', 'warning', 'a']);
    assert.match(binlog.message, /binlog_do_db=app, binlog_ignore_db=scratch.*a failover loses it/);
    const applies = only(input({ b: { links: [link({ filters: { Replicate_Do_DB: 'app' } })] } }));
    assert.deepEqual([applies.finding, applies.severity, applies.subject], ['MemberFilters', 'warning', 'b']);
    assert.match(applies.message, /Replicate_Do_DB=app.*replicas that got it from the other member keep it/);
  });
});

test('a server that skips errors, of the pair or a replica, may have other rows already', () => {
  const skips = { settings: { ...look('b', 2).settings, slaveSkipErrors: 'ALL' } };
  const finding = only(input({ b: skips }));
  assert.deepEqual([finding.finding, finding.severity, finding.subject], ['SlaveSkipErrors', 'warning', 'b']);
  assert.match(finding.message, /slave_skip_errors=ALL/);
  assert.deepEqual(found(input({ replica: skips })), ['SlaveSkipErrors warning orders-0']);
});

test('of a server that skips all errors, which MariaDB shows as every number there is, the message still says what to do', () => {
  const slaveSkipErrors = Array.from({ length: 4_000 }, (_, number) => number).join();
  const { message } = only(input({ b: { settings: { ...look('b', 2).settings, slaveSkipErrors } } }));
  assert.match(message, /slave_skip_errors=0,1,2,.* \(4000 of them\): .* compare the tables$/);
  assert.ok(message.length < 300, message);
});

test('a server behind the VIP that is none of the members', () => {
  const diagnosis: Diagnosis = {
    situation: 'HolderUnknown',
    message: 'the VIP answers as x',
    holder: null,
    complete: true,
    split: null,
    applying: null,
  };
  assert.deepEqual(found(input({}, { diagnosis })), ['HolderUnknownMember error vip']);
});

test('a replica that may be written to, unless that is allowed', () => {
  const writable = input({ replica: { readOnly: false } });
  assert.deepEqual(found(writable), ['ReplicaWritable warning orders-0']);
  assert.match(only(writable).message, /read_only=1.*localWrites: Allowed/);
  assert.deepEqual(found({ ...writable, policy: { ...POLICY, keepReadOnly: false } }), []);
});
