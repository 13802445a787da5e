import type { Fact } from '../domain/fact.ts';
import { formatPosition } from '../domain/gtid.ts';
import type { Link, Observation, ServerLook, VipObservation } from '../domain/observation.ts';
import { isDrained } from '../domain/observation.ts';

/** What of an observation matters to a decision, as text: a pass is worth it only when this changed. */
export function fingerprintOf(observation: Observation, withPositions: boolean): string {
  const members = observation.members.map((member) => [
    member.name,
    member.host,
    member.lockHeldBy,
    member.incarnation,
    serverMark(member.look, withPositions),
  ]);
  const replicas = observation.replicas.map(({ look, ...replica }) => [
    Object.values(replica),
    serverMark(look, withPositions),
  ]);
  return JSON.stringify([vipMark(observation.vip), members, replicas]);
}

function vipMark({ look, failures }: VipObservation): unknown {
  // Two failures are silence (handover.md); more of them change nothing.
  const answers = look.known
    ? [
        look.value.identity,
        look.value.readOnly,
        look.value.lockOwners,
        serverMark({ ...look, value: look.value.look }, false),
      ]
    : look.code;
  return [Math.min(failures, 2), answers];
}

function serverMark(fact: Fact<ServerLook | null>, withPositions: boolean): unknown {
  if (!fact.known) return fact.code;
  const look = fact.value;
  if (look === null) return null;
  const positions = [look.gtidBinlogPos, look.gtidSlavePos].map(formatPosition);
  return [
    look.identity,
    look.version,
    look.readOnly,
    look.logBin,
    look.logSlaveUpdates,
    look.logBinBasename,
    look.gtidDomainId,
    look.settings,
    look.links.map((link) => linkMark(look, link, withPositions)),
    look.dumps?.map(({ connectionId, address }) => `${connectionId} ${address}`).sort() ?? null,
    withPositions ? [positions, look.end] : null,
  ];
}

function linkMark(look: ServerLook, link: Link, withPositions: boolean): unknown {
  return [
    link.channel,
    link.host,
    link.port,
    link.user,
    link.io,
    link.sql,
    link.sourceServerId,
    link.usingGtid,
    link.ioErrno,
    link.sqlErrno,
    link.delay,
    link.ssl,
    link.connectRetry,
    link.filters,
    // While it receives, the applier catches up with every transaction anew.
    link.io === 'Yes' ? null : isDrained(look, link),
    withPositions ? [link.read, link.exec, formatPosition(link.gtidIoPos)] : null,
  ];
}
