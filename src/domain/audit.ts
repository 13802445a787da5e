import type { Finding } from '../api/reasons.ts';
import { auditFilters } from './audit-filters.ts';
import { auditPublishers } from './audit-publisher.ts';
import { auditShared } from './audit-shared.ts';
import { auditStandby } from './audit-standby.ts';
import type { Policy } from './context.ts';
import { valueOf } from './fact.ts';
import type { Memory } from './memory.ts';
import type { Link, Observation, ReplicaObservation, ServerLook } from './observation.ts';
import { ER_EQUAL_IDS, linkOf } from './observation.ts';
import type { Diagnosis } from './situation.ts';

/** Something that stands in the way of the next failover (`error`) or makes it slower or weaker (`warning`). */
export interface AuditFinding {
  readonly finding: Finding;
  readonly severity: 'error' | 'warning';
  /** The member or pod concerned; `vip` for the pair. */
  readonly subject: string;
  /** What is wrong, what it would do in a failover, and what to do about it. */
  readonly message: string;
}

export interface AuditInput {
  readonly policy: Policy;
  readonly observation: Observation;
  readonly diagnosis: Diagnosis;
  readonly memory: Memory;
  /** The member that held the VIP last: while nobody answers there, the others still are the standbys. */
  readonly lastHolder: string | null;
  /** Monotonic ms since when the holder has been seen without another in between. */
  readonly holderSince: number;
  /** `link.netTimeoutSeconds`: what `slave_net_timeout` of every replica should be. */
  readonly netTimeoutSeconds: number;
  /** Members whose publisher gets a token over plain http. */
  readonly plainPublishers: readonly string[];
}

type Check = (input: AuditInput) => readonly AuditFinding[];

/** Could the standby take over *now*? Errors first, in the order in which a person would mend them. */
const CHECKS: readonly Check[] = [
  unknownHolder,
  auditStandby,
  auditShared,
  equalServerIds,
  notAdopted,
  vipLink,
  versionOrder,
  slaveSkipErrors,
  auditFilters,
  syncBinlogOff,
  replicaLogSlaveUpdatesOff,
  linkSettings,
  replicaWritable,
  auditPublishers,
];

export function audit(input: AuditInput): readonly AuditFinding[] {
  const findings = CHECKS.flatMap((check) => check(input));
  return [...findings.filter(isError), ...findings.filter((finding) => !isError(finding))];
}

function isError({ severity }: AuditFinding): boolean {
  return severity === 'error';
}

function unknownHolder({ diagnosis }: AuditInput): AuditFinding[] {
  if (diagnosis.situation !== 'HolderUnknown') return [];
  return [{ finding: 'HolderUnknownMember', severity: 'error', subject: 'vip', message: diagnosis.message }];
}

interface Server {
  readonly name: string;
  readonly look: ServerLook;
}

function members(observation: Observation): Server[] {
  return observation.members.flatMap(({ name, look }) => (look.known ? [{ name, look: look.value }] : []));
}

function replicas(observation: Observation): Server[] {
  return observation.replicas.flatMap(({ pod, look }) => (look.known ? [{ name: pod, look: look.value }] : []));
}

function replicaLink(replica: ReplicaObservation, channel: string): Link | undefined {
  const look = valueOf(replica.look);
  return look === undefined ? undefined : linkOf(look, channel);
}

/** One finding per id, however many servers share it: with the default of 1 everybody does. */
function equalServerIds({ observation, policy }: AuditInput): AuditFinding[] {
  const own = policy.topology === 'SharedStorage' ? [] : members(observation);
  const byId = Map.groupBy([...own, ...replicas(observation)], ({ look }) => look.identity.serverId);
  return [...byId].flatMap(([serverId, servers]): AuditFinding[] => {
    const [first] = servers;
    if (first === undefined || servers.length === 1) return [];
    const names = namesOf(servers.map((server) => server.name));
    const pair = servers.filter((server) => own.includes(server));
    if (pair.length > 1 && pair.length === servers.length) {
      const message = `${names} have one server_id (${serverId}): ${underOneId(pair, serverId)}. Give each member a server_id of its own in its configuration and restart it, the standby first`;
      return [{ finding: 'EqualServerIds', severity: 'error', subject: first.name, message }];
    }
    const message = `${names} have one server_id (${serverId}): a server ignores replicated writes under its own id, and a source ends the link of one replica when another with its id connects. Give each server a server_id of its own in its configuration`;
    return [{ finding: 'EqualServerIds', severity: 'error', subject: first.name, message }];
  });
}

/** What the members of a pair do that have one server_id: with `replicate_same_server_id` they replicate, without they do not. */
function underOneId(pair: readonly Server[], serverId: number): string {
  const links = pair.flatMap(({ name, look }) => look.links.map((link) => ({ name, link })));
  const refused = links.find(({ link }) => link.ioErrno === ER_EQUAL_IDS);
  if (refused !== undefined) {
    return `${refused.name} refuses to replicate from ${refused.link.host}:${refused.link.port} (error ${ER_EQUAL_IDS}) and misses everything since: no replica could be continued there`;
  }
  if (links.some(({ link }) => link.io === 'Yes' && link.sourceServerId === serverId)) {
    return 'they replicate by replicate_same_server_id, and the numbers of their transactions do not say who wrote them. A replica is moved only where it stands exactly at the takeover point, or its last transactions have the same content on both sides';
  }
  return 'the one refuses to replicate from the other, and the numbers of their transactions do not say who wrote them';
}

const MAX_NAMES = 5;

function namesOf(names: readonly string[]): string {
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
  return names.slice(0, MAX_NAMES).join(', ') + more;
}

function notAdopted({ observation, memory }: AuditInput): AuditFinding[] {
  return observation.replicas
    .filter(({ pod }) => memory.replicas.get(pod)?.baseline == null)
    .map(({ pod }) => ({
      finding: 'NotAdopted',
      severity: 'error',
      subject: pod,
      message: `${pod} is not adopted yet: its position is not proven, so mxr would not move it in a failover. The message of its verdict says what it waits for`,
    }));
}

function vipLink({ observation, memory, policy }: AuditInput): AuditFinding[] {
  return observation.replicas.flatMap((replica): AuditFinding[] => {
    const link = replicaLink(replica, policy.channel);
    if (link?.host !== policy.vip.host || link.port !== policy.vip.port) return [];
    const chosen = policy.through === 'VIP';
    const adopted = memory.replicas.get(replica.pod)?.baseline != null;
    const cure = chosen
      ? 'spec.link.through asks for it; Member is safer where the pods can reach the members'
      : adopted
        ? 'open the way from the pods to each member, or accept it with spec.link.through: VIP'
        : "its adoption gives it the member's own address";
    const message = `${replica.pod} dials the VIP ${policy.vip.host}:${policy.vip.port}, so its own reconnect can end on another server before mxr sees it: ${cure}`;
    return [{ finding: 'VipLink', severity: chosen ? 'warning' : 'error', subject: replica.pod, message }];
  });
}

/** A release as MariaDB counts compatibility: 10.11 is 1011. */
function release(version: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\./.exec(version);
  return match === null ? undefined : Number(match[1]) * 1000 + Number(match[2]);
}

/** An older replica that follows the holder already is a risk that is being lived with; one that a failover brings is not. */
function versionOrder({ observation, diagnosis, lastHolder }: AuditInput): AuditFinding[] {
  const holder = diagnosis.holder?.member.name ?? lastHolder;
  return replicas(observation).flatMap((replica) => {
    const own = release(replica.look.version);
    const newer = members(observation).filter(({ look }) => own !== undefined && (release(look.version) ?? 0) > own);
    const [first] = newer;
    if (first === undefined) return [];
    const lives = newer.some(({ name }) => name === holder);
    const message = `${replica.name} runs ${replica.look.version} and ${first.name} runs ${first.look.version}: an older replica may not understand what a newer server logs. Upgrade ${replica.name} first`;
    return [
      { finding: 'VersionOrder', severity: lives ? 'warning' : 'error', subject: replica.name, message } as const,
    ];
  });
}

function syncBinlogOff({ observation }: AuditInput): AuditFinding[] {
  return members(observation)
    .filter(({ look }) => look.logBin && look.settings.syncBinlog !== 1)
    .map(({ name, look }) => ({
      finding: 'SyncBinlogOff',
      severity: 'warning',
      subject: name,
      message: `${name} has sync_binlog=${look.settings.syncBinlog} and may lose the end of its binlog in a crash: replicas are then ahead of it and must be reseeded. Set sync_binlog=1 and innodb_flush_log_at_trx_commit=1`,
    }));
}

const SHOWN_NUMBERS = 5;

/** What was skipped shows nowhere: the data may differ already, and every proof by numbers holds all the same. */
function slaveSkipErrors({ observation }: AuditInput): AuditFinding[] {
  return [...members(observation), ...replicas(observation)]
    .filter(({ look }) => !['', 'OFF'].includes(look.settings.slaveSkipErrors.toUpperCase()))
    .map(({ name, look }) => ({
      finding: 'SlaveSkipErrors',
      severity: 'warning',
      subject: name,
      message: `${name} has slave_skip_errors=${shortList(look.settings.slaveSkipErrors)}: rows that did not fit were left out silently, so its data may differ already. Take it out of its configuration and compare the tables`,
    }));
}

/** Of `all` MariaDB shows every number there is: what to do about it would be cut off. */
function shortList(numbers: string): string {
  const list = numbers.split(',');
  return list.length <= SHOWN_NUMBERS ? numbers : `${list.slice(0, SHOWN_NUMBERS).join()},... (${list.length} of them)`;
}

function replicaLogSlaveUpdatesOff({ observation }: AuditInput): AuditFinding[] {
  return replicas(observation)
    .filter(({ look }) => !look.logBin || !look.logSlaveUpdates)
    .map(({ name, look }) => ({
      finding: 'ReplicaLogSlaveUpdatesOff',
      severity: 'warning',
      subject: name,
      message: `${name} keeps no log of what it applies: after a crash of the source its content cannot be compared, what it got of a new holder through the old one is known by its highest number only, and it cannot fill a gap of its siblings. Set ${look.logBin ? '' : 'log_bin and '}log_slave_updates=1 in its configuration`,
    }));
}

/** What mxr sets with SET GLOBAL is gone at the next restart of the replica, which connects again before anybody looks. */
function linkSettings({ observation, netTimeoutSeconds }: AuditInput): AuditFinding[] {
  return replicas(observation)
    .filter(({ look: { settings } }) => settings.slaveNetTimeout !== netTimeoutSeconds || settings.slaveNetTimeoutSet)
    .map(({ name, look }) => ({
      finding: 'LinkSettingsNotPersistent',
      severity: 'warning',
      subject: name,
      message: `${name} has slave_net_timeout=${look.settings.slaveNetTimeout}${look.settings.slaveNetTimeoutSet === true ? ', set at run time, which a restart forgets' : ' by its configuration'}; spec.link.netTimeoutSeconds is ${netTimeoutSeconds}: a dead link is noticed too late. Write slave_net_timeout=${netTimeoutSeconds} in its configuration`,
    }));
}

/** mxr sets it at each start of a link; a restart of the replica, or a person, may undo that. */
function replicaWritable({ observation, policy }: AuditInput): AuditFinding[] {
  if (!policy.keepReadOnly) return [];
  return replicas(observation)
    .filter(({ look }) => !look.readOnly)
    .map(({ name }) => ({
      finding: 'ReplicaWritable',
      severity: 'warning',
      subject: name,
      message: `${name} has read_only=0: what is written there exists nowhere else and may stop its applier. Set read_only=1 in its configuration (mxr sets it when it starts the link next), or spec.replicas.localWrites: Allowed if services write to databases of their own`,
    }));
}
