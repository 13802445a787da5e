import type { Decision } from '../../../src/domain/verdict.ts';
import { entriesOf } from './binlog.ts';
import type { SimServer } from './server.ts';
import type { World } from './world.ts';
import { holderOf } from './world.ts';

/** What is wrong with a verdict, judged by the rows and binlogs themselves; empty: it is true. */
export function lies(world: World, decisions: readonly Decision[]): string[] {
  return decisions.flatMap((decision) => {
    const replica = world.replicas.find((one) => one.name === decision.pod);
    if (replica === undefined) return [`${decision.pod} does not exist`];
    const lie = lieOf(world, replica, decision);
    return lie === null
      ? []
      : [`${decision.pod} is ${decision.verdict}/${decision.reason} (${decision.message}): ${lie}`];
  });
}

function lieOf(world: World, replica: SimServer, decision: Decision): string | null {
  const holder = holderOf(world);
  switch (decision.verdict) {
    case 'Following':
    case 'CatchingUp':
      return holder === undefined ? 'nobody holds the VIP' : difference(world, replica, holder);
    case 'Ahead':
      return holder === undefined || hasMore(replica, holder) ? null : 'it has nothing that the holder lacks';
    case 'Behind':
      return holder === undefined || lacksForEver(replica, holder) ? null : 'it lacks nothing for ever';
    case 'Purged':
      return holder === undefined || lacksForEver(replica, holder) ? null : 'nothing that it needs is gone';
    case 'Diverged':
      return holder === undefined || sameNameOtherContent(replica, holder) ? null : 'no GTID has two contents';
    default:
      return null;
  }
}

function counts(tokens: readonly string[]): Map<string, number> {
  const count = new Map<string, number>();
  for (const token of tokens) count.set(token, (count.get(token) ?? 0) + 1);
  return count;
}

/** With everything applied that is on its way, the rows are the holder's rows. */
export function difference(world: World, replica: SimServer, holder: SimServer): string | null {
  const mine = counts(replica.rows);
  const theirs = counts(holder.rows);
  const lost = [...theirs]
    .filter(([token, count]) => (mine.get(token) ?? 0) < count && !world.unheard.has(token))
    .map(([token]) => token);
  const extra = [...mine].filter(([token, count]) => (theirs.get(token) ?? 0) < count).map(([token]) => token);
  if (lost.length === 0 && extra.length === 0) return null;
  return `lacks ${lost.slice(0, 5).join(' ') || 'nothing'}; has too much ${extra.slice(0, 5).join(' ') || 'nothing'}`;
}

function binlogTokens(server: SimServer): Set<string> {
  return new Set(entriesOf(server.binlog).map(({ entry }) => entry.trx.token));
}

/** Its rows or its relay log have something that neither the rows nor the binlog of the holder have. */
function hasMore(replica: SimServer, holder: SimServer): boolean {
  const logged = binlogTokens(holder);
  const rows = new Set(holder.rows);
  const received = [...replica.rows, ...(replica.link?.relay ?? []).map(({ trx }) => trx.token)];
  return received.some((token) => !rows.has(token) || !logged.has(token));
}

/** The holder has rows that neither the replica has nor the holder's binlog can give it. */
function lacksForEver(replica: SimServer, holder: SimServer): boolean {
  const mine = new Set(replica.rows);
  const logged = binlogTokens(holder);
  return holder.rows.some((token) => !mine.has(token) && !logged.has(token));
}

function sameNameOtherContent(replica: SimServer, holder: SimServer): boolean {
  const mine = new Map(entriesOf(replica.binlog).map(({ entry }) => [nameOf(entry.trx.gtid), entry.trx.token]));
  return entriesOf(holder.binlog).some(({ entry }) => {
    const token = mine.get(nameOf(entry.trx.gtid));
    return token !== undefined && token !== entry.trx.token;
  });
}

function nameOf(gtid: { domain: number; serverId: number; seq: bigint }): string {
  return `${gtid.domain}-${gtid.serverId}-${gtid.seq}`;
}
