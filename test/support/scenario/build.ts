import { known, NOT_ASKED_YET, unknown } from '../../../src/domain/fact.ts';
import type { Fact } from '../../../src/domain/fact.ts';
import type { PublisherLook } from '../../../src/domain/published.ts';
import { stateOfPosition } from '../../../src/domain/gtid.ts';
import type { GtidPosition } from '../../../src/domain/gtid.ts';
import type {
  Link,
  MemberObservation,
  Observation,
  ReplicaObservation,
  ServerLook,
  VipObservation,
} from '../../../src/domain/observation.ts';
import { publisherOf } from './publisher.ts';
import { lastOf, placeOf, position, state } from './words.ts';
import { START, startOf } from './times.ts';
import type { Member, Replica, Vip } from './vocabulary.ts';

/** What is seen in one phase, every word resolved against the phases before. */
export interface Scene {
  readonly vip: Vip;
  readonly members: Readonly<Record<string, Member>>;
  readonly replicas: Readonly<Record<string, Replica>>;
}

const VIP_HOST = '10.0.0.100';
const READ_ALL = 'Slave has read all relay log; waiting for more updates';

export function hostOf(name: string): string {
  if (/^r\d+$/.test(name)) return ipOf(name);
  return name === 'vip' ? VIP_HOST : `10.0.0.${name.charCodeAt(0) - 86}`;
}

function ipOf(pod: string): string {
  return `10.1.0.${Number(pod.slice(1)) + 1}`;
}

/** Monotonic ms at which a phase is looked at: replicas first, then the members, then the VIP. */
export function observe(scene: Scene, now: number): Observation {
  const names = Object.keys(scene.members);
  return {
    now,
    wallNow: START + now,
    vip: vipOf(scene, now),
    members: names.map((name) => memberOf(scene, name, now - 20)),
    replicas: Object.keys(scene.replicas).map((pod) => replicaOf(scene, pod, now - 30)),
  };
}

/** Who answers now: where two hosts claim the VIP, they take turns. */
function answering(vip: Vip, now: number): string | null {
  if (typeof vip === 'string') return vip;
  if ('stranger' in vip) return vip.stranger;
  return 'inTurn' in vip ? (vip.inTurn[Math.floor(now / 1000) % vip.inTurn.length] ?? null) : null;
}

function vipOf(scene: Scene, now: number): VipObservation {
  const { vip } = scene;
  if (typeof vip !== 'string' && 'silent' in vip) {
    const look = unknown(vip.silent, 'no answer', now - 10);
    return { look, failures: vip.probes, silentSince: now - 1000, answersSince: null };
  }
  const name = answering(vip, now) ?? '';
  const member = scene.members[name];
  const look = lookOf(name, member ?? { serverId: 99 }, { holder: true, dumps: dumpsOn(scene, name) });
  const lockOwners = Object.fromEntries(Object.keys(scene.members).map((one) => [one, one === name ? 7 : null]));
  const alone = member === undefined || member.down != null;
  const { identity, readOnly } = look;
  const seen = { identity, readOnly, lockOwners: alone ? {} : lockOwners, look: alone ? look : null };
  return { look: known(seen, now - 10), failures: 0, silentSince: null, answersSince: now - 60_000 };
}

function memberOf(scene: Scene, name: string, at: number): MemberObservation {
  const member = scene.members[name] ?? {};
  const holder = answering(scene.vip, at + 20) === name;
  const dumps = dumpsOn(scene, name);
  const down = member.down ?? null;
  return {
    name,
    host: hostOf(name),
    port: 3306,
    match: member.match ?? null,
    look: down === null ? known(lookOf(name, member, { holder, dumps }), at) : unknown(down, 'no answer', at),
    lockHeldBy: down === null ? 7 : null,
    incarnation: 1 + (member.started ?? 0),
    incarnationSince: 0,
    ...(member.publisher == null ? {} : { publisher: publisherAt(scene, name, at) }),
  };
}

function dumpsOn({ replicas }: Scene, name: string): readonly { readonly address: string; readonly fedFor: number }[] {
  return Object.entries(replicas).flatMap(([pod, { on, fedFor }]) =>
    on === name ? [{ address: ipOf(pod), fedFor: fedFor ?? 9 }] : [],
  );
}

function publisherAt(scene: Scene, name: string, at: number): Fact<PublisherLook> {
  const said = scene.members[name]?.publisher ?? {};
  const of = said.of ?? name;
  const server = scene.members[of] ?? { serverId: 99 };
  const holds = answering(scene.vip, at + 20) === name;
  const look = lookOf(of, server, { holder: holds, dumps: [] });
  const source = (one: string) => ({ host: hostOf(one), serverId: serverIdOf(one, scene.members[one] ?? {}) });
  return publisherOf(said, { name, look, holds, source }, at);
}

function lookOf(
  name: string,
  member: Member,
  seen: { readonly holder: boolean; readonly dumps: readonly { readonly address: string; readonly fedFor: number }[] },
): ServerLook {
  const logged = state(member.logged ?? '');
  const end = placeOf(member.end ?? `${name}-bin.000001:300`);
  const files = { ...member.files, [end.file]: end.position };
  return {
    ...serverOf(name, { serverId: serverIdOf(name, member), started: member.started ?? 0 }),
    logBinBasename: `/var/lib/mysql/${member.binlog ?? `${name}-bin`}`,
    readOnly: member.readOnly ?? !seen.holder,
    logSlaveUpdates: member.logSlaveUpdates ?? true,
    gtidBinlogPos: lastOf(logged),
    gtidBinlogState: logged,
    gtidSlavePos: position(member.applied ?? ''),
    end,
    files: Object.entries(files).map(([file, size]) => ({ name: file, size })),
    links: member.follows == null ? [] : [memberLink(member.follows, position(member.applied ?? ''))],
    dumps: seen.dumps.map(({ address, fedFor }) => ({
      connectionId: 1_000_000 - fedFor,
      address,
      user: 'repl',
      ageSeconds: fedFor,
    })),
  };
}

function serverIdOf(name: string, { serverId }: Member): number {
  return serverId ?? name.charCodeAt(0) - 96;
}

function serverOf(name: string, facts: { readonly serverId: number; readonly started: number }) {
  const startedAt = startOf(facts.started);
  return {
    identity: {
      hostname: name,
      serverId: facts.serverId,
      serverUid: `uid-${name}`,
      port: 3306,
      datadir: '/var/lib/mysql/',
      startedAt,
    },
    connectionId: 7,
    version: '10.11.19-MariaDB-log',
    logBin: true,
    logBinBasename: `/var/lib/mysql/${name}-bin`,
    gtidDomainId: 0,
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
  };
}

const LINK: Link = {
  channel: '',
  host: '',
  port: 3306,
  user: 'repl',
  io: 'Yes',
  sql: 'Yes',
  ioState: '',
  sqlState: READ_ALL,
  sourceServerId: 0,
  read: { file: '', position: 4 },
  exec: { file: '', position: 0 },
  usingGtid: 'Slave_Pos',
  gtidIoPos: new Map(),
  ioErrno: 0,
  ioError: '',
  sqlErrno: 0,
  sqlError: '',
  secondsBehind: 0,
  delay: 0,
  ssl: false,
  connectRetry: 1,
  filters: {},
};

function memberLink(follows: NonNullable<Member['follows']>, applied: GtidPosition): Link {
  const exec = placeOf(follows.exec ?? `${follows.member}-bin.000001:300`);
  const working = follows.drained ? READ_ALL : 'Reading event from the relay log';
  return {
    ...LINK,
    host: hostOf(follows.member),
    io: follows.io,
    sql: follows.sql,
    sqlState: follows.sql === 'Yes' ? working : '',
    sourceServerId: follows.member.charCodeAt(0) - 96,
    exec,
    read: follows.read === undefined ? exec : placeOf(follows.read),
    usingGtid: follows.mode === 'GTID' ? 'Slave_Pos' : 'No',
    gtidIoPos: follows.received === undefined ? applied : position(follows.received),
    filters: follows.filters,
    ...error('io', follows.ioError),
  };
}

const NO_POD_YET = { ip: null, podReady: false, labelledServing: false, incarnation: 0, look: NOT_ASKED_YET } as const;

function replicaOf(scene: Scene, pod: string, at: number): ReplicaObservation {
  const replica = scene.replicas[pod] ?? {};
  const down = replica.down ?? null;
  if (replica.pending === true) return { ...NO_POD_YET, pod, podUid: `uid-${pod}` };
  return {
    pod,
    podUid: `uid-${pod}`,
    ip: ipOf(pod),
    podReady: true,
    labelledServing: true,
    incarnation: 1 + (replica.started ?? 0),
    look: down === null ? known(replicaLook(scene, pod, replica), at) : unknown(down, 'no answer', at),
  };
}

function replicaLook(scene: Scene, pod: string, replica: Replica): ServerLook {
  const applied = position(replica.gtid ?? '');
  const logs = replica.logSlaveUpdates ?? true;
  const logged = !logs ? new Map() : replica.logged === undefined ? stateOfPosition(applied) : state(replica.logged);
  const end = { file: `${pod}-bin.000001`, position: 300 };
  const dials = replica.dials === undefined ? (replica.on ?? 'vip') : replica.dials;
  return {
    ...serverOf(pod, { serverId: idOf(pod), started: replica.started ?? 0 }),
    readOnly: true,
    logSlaveUpdates: logs,
    gtidBinlogPos: logs ? applied : new Map(),
    gtidBinlogState: logged,
    gtidSlavePos: applied,
    end,
    files: [{ name: end.file, size: end.position }],
    links: dials === null ? [] : [replicaLink(scene, { ...replica, dials }, applied)],
    dumps: [],
    ...(replica.workers === undefined ? {} : { parallelThreads: replica.workers }),
  };
}

function replicaLink(scene: Scene, replica: Replica & { readonly dials: string }, applied: GtidPosition): Link {
  const io = replica.io ?? 'Yes';
  const sql = replica.sql ?? 'Yes';
  const byGtid = (replica.mode ?? 'GTID') === 'GTID';
  const exec = placeOf(replica.exec ?? 'a-bin.000001:300');
  const read = replica.read === undefined ? exec : placeOf(replica.read);
  const all = (replica.received === undefined && replica.read === undefined) || replica.workers !== undefined;
  const waits = all ? READ_ALL : 'Reading event from the relay log';
  const feeder = replica.on == null ? undefined : scene.members[replica.on];
  return {
    ...LINK,
    host: hostOf(replica.dials),
    io,
    sql,
    sqlState: sql === 'Yes' ? waits : '',
    sourceServerId: replica.on == null ? 0 : (feeder?.serverId ?? idOf(replica.on)),
    exec,
    read,
    delay: replica.delay ?? 0,
    usingGtid: byGtid ? 'Slave_Pos' : 'No',
    gtidIoPos: byGtid ? position(replica.received ?? replica.gtid ?? '') : new Map(),
    filters: replica.filters ?? {},
    ...(replica.until == null ? {} : { until: replica.until }),
    ...error('io', replica.ioError),
    ...error('sql', replica.sqlError),
    ...(applied.size === 0 ? { secondsBehind: null } : {}),
  };
}

function idOf(name: string): number {
  return /^r\d+$/.test(name) ? 11 + Number(name.slice(1)) : name.charCodeAt(0) - 96;
}

/** `1236 text` */
function error(thread: 'io' | 'sql', text: string | undefined): Partial<Link> {
  if (text === undefined) return {};
  const [errno = '0', ...words] = text.split(' ');
  return { [`${thread}Errno`]: Number(errno), [`${thread}Error`]: words.join(' ') };
}
