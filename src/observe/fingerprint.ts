import type { Fact } from '../domain/fact.ts';
import { formatPosition } from '../domain/gtid.ts';
import type { Link, ServerLook, VipObservation } from '../domain/observation.ts';
import { isDrained } from '../domain/observation.ts';

/** What of a look matters to a decision, as text: a pass is worth it only when this changed. */

/** Two failures are silence (handover.md): more of them change nothing. */
const SILENT = 2;

export function markOfVip({ look, failures }: VipObservation): string {
  if (!look.known) return JSON.stringify([look.code, Math.min(failures, SILENT)]);
  const { identity, readOnly, lockOwners } = look.value;
  const full = look.value.look === null ? null : serverMark(look.value.look, false);
  return JSON.stringify([identity, readOnly, lockOwners, full]);
}

/** With positions only while a handover waits for them: under load they change at each look. */
export function markOfServer(fact: Fact<ServerLook>, withPositions: boolean): string {
  return fact.known ? JSON.stringify(serverMark(fact.value, withPositions)) : fact.code;
}

function serverMark(look: ServerLook, withPositions: boolean): unknown[] {
  const positions = [formatPosition(look.gtidBinlogPos), formatPosition(look.gtidSlavePos), look.end];
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
    withPositions ? positions : null,
  ];
}

function linkMark(look: ServerLook, link: Link, withPositions: boolean): unknown[] {
  return [
    link.channel,
    link.host,
    link.port,
    link.user,
    link.io,
    link.sql,
    link.sourceServerId,
    link.usingGtid,
    link.until ?? null,
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
