import { Filters } from '../../../src/api/spec.ts';
import { known, unknown } from '../../../src/domain/fact.ts';
import { parsePosition, parseState } from '../../../src/domain/gtid.ts';
import type { GtidPosition, GtidState } from '../../../src/domain/gtid.ts';
import type { Holder } from '../../../src/domain/holder.ts';
import type { Policy } from '../../../src/domain/context.ts';
import { newLineage, seenAsStandby } from '../../../src/domain/lineage.ts';
import type { MemberMemory, Memory, ReplicaMemory } from '../../../src/domain/memory.ts';
import type {
  Link,
  MemberObservation,
  Observation,
  ReplicaObservation,
  ServerLook,
} from '../../../src/domain/observation.ts';
import type { PublisherLook } from '../../../src/domain/published.ts';
import type { Diagnosis } from '../../../src/domain/situation.ts';

/** A calm pair, a (holds the VIP) and b (its standby), with replicas: every test changes one thing of it. */

export const NOW = 1_000_000;
export const WALL = Date.parse('2026-03-01T12:00:00.000Z');
const STARTED = WALL - 86_400_000;

export function position(text: string): GtidPosition {
  const parsed = parsePosition(text);
  if (parsed === undefined) throw new Error(`not a position: ${text}`);
  return parsed;
}

export function state(text: string): GtidState {
  const parsed = parseState(text);
  if (parsed === undefined) throw new Error(`not a state: ${text}`);
  return parsed;
}

export function link(change: Partial<Link> = {}): Link {
  return {
    channel: '',
    host: '10.0.0.11',
    port: 3306,
    user: 'repl',
    io: 'Yes',
    sql: 'Yes',
    ioState: 'Waiting for master to send event',
    sqlState: 'Slave has read all relay log; waiting for more updates',
    sourceServerId: 1,
    read: { file: 'a-bin.000003', position: 900 },
    exec: { file: 'a-bin.000003', position: 900 },
    usingGtid: 'Slave_Pos',
    gtidIoPos: position('0-1-100'),
    ioErrno: 0,
    ioError: '',
    sqlErrno: 0,
    sqlError: '',
    secondsBehind: 0,
    delay: 0,
    ssl: false,
    connectRetry: 1,
    filters: {},
    ...change,
  };
}

export function look(name: string, serverId: number, change: Partial<ServerLook> = {}): ServerLook {
  const file = `${name}-bin.000003`;
  return {
    identity: {
      hostname: name,
      serverId,
      serverUid: `uid-${name}`,
      port: 3306,
      datadir: '/var/lib/mysql/',
      startedAt: STARTED,
    },
    connectionId: 7,
    version: '10.11.19-MariaDB-log',
    readOnly: true,
    logBin: true,
    logSlaveUpdates: true,
    logBinBasename: `/var/lib/mysql/${name}-bin`,
    gtidDomainId: 0,
    gtidBinlogPos: position('0-1-100'),
    gtidBinlogState: state('0-1-100'),
    gtidSlavePos: position('0-1-100'),
    end: { file, position: 900 },
    files: [{ name: file, size: 900 }],
    links: [link()],
    dumps: [],
    settings: {
      syncBinlog: 1,
      slaveNetTimeout: 8,
      gtidStrictMode: false,
      binlogFormat: 'MIXED',
      binlogRowImage: 'FULL',
      slaveSkipErrors: 'OFF',
      skipSlaveStart: null,
      binlogDoDb: '',
      binlogIgnoreDb: '',
    },
    ...change,
  };
}

export function memberAt(name: string, host: string, seen: ServerLook, at = NOW - 10): MemberObservation {
  return {
    name,
    host,
    port: 3306,
    match: null,
    look: known(seen, at),
    lockHeldBy: 7,
    incarnation: 1,
    incarnationSince: 0,
  };
}

export function replicaAt(pod: string, ip: string, seen: ServerLook, at = NOW - 20): ReplicaObservation {
  return {
    pod,
    podUid: `uid-${pod}`,
    ip,
    podReady: true,
    labelledServing: true,
    incarnation: 1,
    look: known(seen, at),
  };
}

export function down(name: string, host: string): MemberObservation {
  return {
    ...memberAt(name, host, look(name, 9)),
    lockHeldBy: null,
    look: unknown('Deadline', 'no answer within 1000 ms', NOW - 10),
  };
}

/** What the publisher beside a server says of it, looked at a moment before it was asked. */
export function published(seen: ServerLook, change: Partial<PublisherLook> = {}, at = NOW - 3): PublisherLook {
  const ageMs = change.ageMs ?? 2;
  return {
    member: seen.identity.hostname,
    databaseAnswers: true,
    identity: { ...seen.identity, machineId: 'machine', datadirId: null },
    vipHeld: !seen.readOnly,
    vipHeldSince: 0,
    readOnly: seen.readOnly,
    logSlaveUpdates: seen.logSlaveUpdates,
    end: seen.end,
    binlogPos: seen.gtidBinlogPos,
    binlogState: seen.gtidBinlogState ?? new Map(),
    slavePos: seen.gtidSlavePos,
    takeover: null,
    peer: null,
    imported: { masterEnd: null, slaveEnd: null },
    observedAt: WALL - (NOW - at) - ageMs,
    ageMs,
    ...change,
  };
}

/** The member, with a publisher that was asked at that time. */
export function withPublisher(member: MemberObservation, said: PublisherLook, at = NOW - 3): MemberObservation {
  return { ...member, publisher: known(said, at) };
}

export const POLICY: Policy = {
  channel: '',
  vip: { host: '10.0.0.100', port: 3306 },
  through: 'Auto',
  positioning: 'GTID',
  topology: 'Auto',
  onSplitBrain: 'Confirm',
  keepReadOnly: true,
  onGap: 'Halt',
  replicaPort: 3306,
  filters: Filters.parse({}),
};

export interface Pair {
  readonly a: ServerLook;
  readonly b: ServerLook;
  readonly observation: Observation;
  readonly memory: Memory;
  readonly diagnosis: Diagnosis;
}

export interface PairChange {
  readonly a?: Partial<ServerLook>;
  readonly b?: Partial<ServerLook>;
  readonly replica?: Partial<ServerLook>;
  readonly replicas?: number;
}

export function holderLook(change: Partial<ServerLook> = {}): ServerLook {
  const dumps = [{ connectionId: 11, address: '10.1.0.1', user: 'repl', ageSeconds: 9 }];
  return look('a', 1, { readOnly: false, links: [], gtidSlavePos: position(''), dumps, ...change });
}

export function calmPair(change: PairChange = {}): Pair {
  const a = holderLook(change.a);
  const b = look('b', 2, change.b);
  const replicas = Array.from({ length: change.replicas ?? 1 }, (_, index) =>
    replicaAt(`orders-${index}`, `10.1.0.${index + 1}`, look(`orders-${index}`, 11 + index, change.replica)),
  );
  const members = [memberAt('a', '10.0.0.11', a), memberAt('b', '10.0.0.12', b, NOW - 30)];
  return assemble(a, b, members, replicas);
}

function assemble(
  a: ServerLook,
  b: ServerLook,
  members: readonly MemberObservation[],
  replicas: readonly ReplicaObservation[],
): Pair {
  const vipLook = { identity: a.identity, readOnly: false, lockOwners: { a: 7, b: null }, look: null };
  const vip = { look: known(vipLook, NOW - 5), failures: 0, silentSince: null, answersSince: NOW - 60_000 };
  const memory: Memory = {
    members: new Map([
      ['a', remembered('a', a)],
      ['b', remembered('b', b)],
    ]),
    replicas: new Map(replicas.map((replica) => [replica.pod, replicaMemory(replica.pod)])),
  };
  const observation = { now: NOW, wallNow: WALL, vip, members, replicas };
  return { a, b, observation, memory, diagnosis: stable(members[0], a) };
}

function remembered(name: string, seen: ServerLook): MemberMemory {
  return seenAsStandby(newLineage(name, seen, WALL - 1000), WALL);
}

export function stable(member: MemberObservation | undefined, seen: ServerLook): Diagnosis {
  if (member === undefined) throw new Error('no holder');
  const holder: Holder = { member, knownBy: 'Lock', look: seen, lookAt: NOW - 10, readOnly: false };
  return {
    situation: 'Stable',
    message: `${member.name} holds the VIP`,
    holder,
    complete: true,
    split: null,
    applying: null,
  };
}

export function replicaMemory(pod: string, change: Partial<ReplicaMemory> = {}): ReplicaMemory {
  const at = WALL - 60_000;
  return {
    pod,
    baseline: {
      by: 'Adopted',
      member: 'a',
      lineage: `a@${new Date(WALL - 1000).toISOString()}`,
      coordinates: { file: 'a-bin.000003', position: 900 },
      gtid: position('0-1-100'),
      contains: state('0-1-100'),
      at,
    },
    startedAt: STARTED,
    captured: null,
    unsafeSince: null,
    haltedSince: null,
    adoptionRefused: null,
    through: 'Member',
    standing: null,
    link: null,
    foreignChanges: [],
    lacks: [],
    clearedFor: null,
    refusal: null,
    fed: null,
    connectedTo: null,
    ownBinlog: null,
    knownSince: null,
    followed: null,
    forgotten: null,
    ...change,
  };
}
