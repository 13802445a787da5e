import type { AuditFinding, AuditInput } from './audit.ts';
import { standbyLinkOf } from './memory.ts';
import type { ServerLook } from './observation.ts';

/**
 * What the pair leaves out on purpose. It is no loss, and no number shows it: nothing but the configuration says that
 * rows are missing on one side.
 */
export function auditFilters({ observation }: AuditInput): readonly AuditFinding[] {
  return observation.members.flatMap(({ name, look }) =>
    look.known ? [...unlogged(name, look.value), ...unapplied(name, look.value)] : [],
  );
}

function unlogged(name: string, { settings }: ServerLook): AuditFinding[] {
  const [only, not] = [settings.binlogDoDb, settings.binlogIgnoreDb];
  if (only === '' && not === '') return [];
  const what = [only === '' ? [] : `binlog_do_db=${only}`, not === '' ? [] : `binlog_ignore_db=${not}`].flat();
  const message = `${name} leaves databases out of its binlog (${what.join(', ')}): what is written there reaches neither the other member nor a replica, and a failover loses it without a trace. Take that out of its configuration, or let nobody read those databases from a replica`;
  return [warning(name, message)];
}

function unapplied(name: string, look: ServerLook): AuditFinding[] {
  const filters = Object.entries(standbyLinkOf(look)?.filters ?? {}).map(([column, value]) => `${column}=${value}`);
  if (filters.length === 0) return [];
  const message = `${name} leaves out some of what it replicates (${filters.join(', ')}): once it holds the VIP it lacks that, and replicas that got it from the other member keep it. Such holes in its numbers are no loss to mxr. Take the filters out of its configuration and rebuild it, or let nobody read what is left out from a replica`;
  return [warning(name, message)];
}

function warning(subject: string, message: string): AuditFinding {
  return { finding: 'MemberFilters', severity: 'warning', subject, message };
}
