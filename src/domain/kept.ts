import type { TransactionContent, TransactionQuestion } from './evidence.ts';
import { answerTo } from './evidence.ts';
import { wasAsked } from './fact.ts';
import type { Gtid, GtidPosition, GtidState } from './gtid.ts';
import { beyond, formatGtid, gtidsOf, isWithin, ofServer, stateOf } from './gtid.ts';
import type { ProvenRestart } from './memory.ts';
import { binlogStateOf, stateOfServer } from './memory.ts';
import type { ServerLook } from './observation.ts';
import type { Asking } from './proof.ts';
import { asking, incarnationKey } from './proof.ts';
import type { Peer, RestartInput, RestartJudgement } from './restart.ts';

/**
 * Another member has transactions that this server wrote and does not have any more: nobody else gave it those. Or it has
 * something else under the first number that this server gave after its start.
 */
export function keptByPeer(input: RestartInput, begun: ProvenRestart): RestartJudgement | null {
  const { memory, look, peers } = input;
  if (memory.storage !== null) return null;
  const { serverId } = look.identity;
  for (const peer of peers) {
    if (peer.look.identity.serverId === serverId) continue;
    const own = ofServer(gtidsOf(stateOfServer(peer.look)), serverId);
    const kept = keptMore(input, peer, own) ?? keptOther(input, begun, { peer, own });
    if (kept === null || typeof kept !== 'string') return kept;
    return {
      kind: 'LostTail',
      message: `${peer.name} has ${kept} of ${memory.name}, which restarted without it`,
      restart: begun,
    };
  }
  return null;
}

function keptMore({ memory, look, lookAt }: RestartInput, peer: Peer, own: readonly Gtid[]): string | Asking | null {
  const logged = look.gtidBinlogState;
  if (logged === null || beyond(stateOf(own), logged).length === 0) return null;
  // The side that must be the larger is read last.
  const before = peer.before === null && lookAt >= peer.at ? own : gtidsOf(peer.before ?? new Map());
  const lost = beyond(stateOf(ofServer(before, look.identity.serverId)), logged);
  if (lost.length > 0) return lost.map(formatGtid).join(', ');
  const again = { kind: 'LiveLook', target: { member: memory.name }, after: Math.max(peer.at, lookAt) } as const;
  return asking(`looking at ${memory.name} again before saying that it lost what ${peer.name} has of it`, again);
}

interface Kept {
  readonly peer: Peer;
  readonly own: readonly Gtid[];
}

/** A peer whose binlog cannot be read is no witness, like one that does not answer; nor is one that leaves something out. */
function keptOther({ look, observed, evidence }: RestartInput, begun: ProvenRestart, { peer, own }: Kept) {
  if (!peer.look.logSlaveUpdates || peer.look.links.some(({ filters }) => Object.keys(filters).length > 0)) return null;
  const writer = writerOf(look);
  for (const first of firstsAfter(own, [begun.survived, ...begun.later], writer)) {
    const gtid = formatGtid(first);
    const [here, there] = [askOf(observed, gtid), askOf(peer, gtid)];
    const [mine, its] = [answerTo(evidence, here), answerTo(evidence, there)];
    if (!mine.known || !wasAsked(its)) return asking(`comparing ${gtid} with ${peer.name}`, here, there);
    if (its.known && differ(mine.value.found, its.value.found)) return `another ${gtid}`;
  }
  return null;
}

function askOf(server: { readonly name: string; readonly incarnation: number }, gtid: string): TransactionQuestion {
  return { kind: 'Transaction', server: { member: server.name }, incarnation: incarnationKey(server), gtid };
}

/** Other tables, or other columns, are what a filter or a changed table makes of the same transaction. */
function differ(mine: TransactionContent['found'], its: TransactionContent['found']): boolean {
  if (mine === null || its === null || mine.kind !== its.kind) return false;
  if (JSON.stringify(mine.tables) !== JSON.stringify(its.tables)) return false;
  return mine.digest !== its.digest || mine.timestamp !== its.timestamp;
}

/** Who gives out numbers. */
export interface Writer {
  readonly serverId: number;
  /** What it had applied. */
  readonly applied: GtidPosition;
  /** What it had logged; null where it does not log what it applies. */
  readonly logged: GtidState | null;
}

export function writerOf(look: ServerLook): Writer {
  const logged = look.logSlaveUpdates ? binlogStateOf(look) : null;
  return { serverId: look.identity.serverId, applied: look.gtidSlavePos, logged };
}

/** Per domain: the server's own first number after all that survived, whoever wrote that, where somebody has `reached` it. */
export function firstsAfter(reached: Iterable<Gtid>, starts: readonly GtidState[], writer: Writer): Gtid[] {
  const last = [...reached];
  const firsts = starts.flatMap((survived) =>
    last.flatMap(({ domain, seq }) => {
      const applied = handedBack(writer, domain, survived) ? 0n : (writer.applied.get(domain)?.seq ?? 0n);
      const kept = [...(survived.get(domain)?.values() ?? [])].reduce(
        (most, one) => (one > most ? one : most),
        applied,
      );
      return kept === 0n || seq <= kept ? [] : [{ domain, serverId: writer.serverId, seq: kept + 1n }];
    }),
  );
  return [...new Map(firsts.map((gtid) => [formatGtid(gtid), gtid])).values()];
}

/**
 * What its peer handed back of its own shows as applied, and says nothing of what it kept. Where it logged something newer of
 * another server since, it went on behind that, and its next number is not the first.
 */
function handedBack({ serverId, applied, logged }: Writer, domain: number, survived: GtidState): boolean {
  if (logged === null || applied.get(domain)?.serverId !== serverId) return false;
  const others = gtidsOf(logged).filter((gtid) => gtid.domain === domain && gtid.serverId !== serverId);
  return isWithin(stateOf(others), survived);
}
