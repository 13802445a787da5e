import type { AuditFinding, AuditInput } from './audit.ts';
import type { MemberObservation } from './observation.ts';
import { areOneServer, binlogName, followsHost, twiceMessage, usedTwice } from './shared.ts';

/** What would spoil the next failover of a shared storage, where the other host runs no server that could be asked. */
export function auditShared(input: AuditInput): readonly AuditFinding[] {
  return [...usedByTwo(input), ...namedAfterHost(input)];
}

function usedByTwo({ policy, memory, observation }: AuditInput): AuditFinding[] {
  const twice = usedTwice(policy.topology, memory, observation);
  if (twice === null) return [];
  const [subject = 'vip'] = twice.names;
  return [{ finding: 'SharedStorageTwice', severity: 'error', subject, message: twiceMessage(twice) }];
}

/** A warning: somebody may have given it that very name on both hosts, which only a move shows. */
function namedAfterHost(input: AuditInput): AuditFinding[] {
  return input.observation.members.flatMap((member): AuditFinding[] => {
    const { name, look } = member;
    if (!look.known || !look.value.logBin || !followsHost(look.value)) return [];
    if (!isShared(input, name) || keptItsName(input, member)) return [];
    const message = `the binlog of ${name} is called ${binlogName(look.value.logBinBasename)}, as MariaDB names it after the host where log_bin has no name: on the other host a new binlog would begin, with an empty GTID state and numbers that were given before, and no replica could be continued. Set log_bin=mysql-bin, or another fixed name, on both hosts; where this is the fixed name, nothing is to be done`;
    return [{ finding: 'BinlogNameFollowsHost', severity: 'warning', subject: name, message }];
  });
}

function isShared({ policy, memory }: AuditInput, name: string): boolean {
  return policy.topology === 'SharedStorage' || memory.members.get(name)?.storage != null;
}

/** It was seen under the same name on another host. */
function keptItsName({ memory }: AuditInput, { name, look }: MemberObservation): boolean {
  if (!look.known) return false;
  const { identity, logBinBasename } = look.value;
  return [...memory.members.values()].some(
    (other) =>
      other.name !== name &&
      areOneServer(memory, other.name, name) &&
      other.identity.hostname !== identity.hostname &&
      binlogName(other.logBinBasename) === binlogName(logBinBasename),
  );
}
