import { answerTo } from './evidence.ts';
import type { Gtid } from './gtid.ts';
import { formatGtid, isWithin, mergeStates, stateOfPosition } from './gtid.ts';
import { binlogStateOf } from './memory.ts';
import { hasFile } from './observation.ts';
import type { Asking, ProofInput, Refused } from './proof.ts';
import { asking, incarnationKey, readUpTo, refused } from './proof.ts';
import { knownBefore } from './skipped.ts';
import { attachedItself } from './stray.ts';

/**
 * A server counts on from what it applied: whatever it wrote as the holder has a higher number than everything that came
 * before. A number that is not higher was written while another one wrote, too; who got the later ones through the old
 * holder may have been passed over with it, and its highest number does not show that.
 */
export function writtenAsStandby(input: ProofInput): Refused | Asking | null {
  const { target, targetMemory, holder, replica } = input;
  const standby = targetMemory.lastStandby;
  if (standby === null || target.end === null || isWithin(binlogStateOf(target), standby.binlogState)) return null;
  if (!hasFile(target, standby.end.file)) {
    const message = `${standby.end.file} of ${holder.member.name}, where its own history began, is purged: whether it wrote while it was a standby cannot be read; reseed ${replica.pod}`;
    return refused('Unproven', 'TakeoverUnknown', message);
  }
  const through = readUpTo(input, stateOfPosition(replica.position), target.end);
  if ('kind' in through) return through;
  const question = {
    kind: 'Walk',
    member: holder.member.name,
    incarnation: incarnationKey(holder.member),
    from: standby.end,
    through,
    firstOnly: false,
  } as const;
  const walk = answerTo(input.evidence, question);
  if (!walk.known) return asking(`reading what ${holder.member.name} wrote since it was seen as a standby`, question);
  const errant = walk.value.transactions.map(({ gtid }) => gtid).filter((gtid) => gtid.seq <= othersUpTo(input, gtid));
  if (errant.length === 0) return null;
  const gtids = errant.map(formatGtid);
  const message = `${holder.member.name} wrote ${gtids.slice(0, 10).join(', ')} while another server wrote under the same or higher numbers: ${replica.pod} may have been passed over with that. Find out what they are, then reseed ${replica.pod}`;
  return refused('Unproven', 'NotPrefix', message, { count: gtids.length, gtids });
}

/**
 * The highest number of other servers in the domain that the target itself writes to, which the replica has; or may have had
 * when it went to the target by itself, for its position there says nothing of that.
 */
function othersUpTo(input: ProofInput, { domain, serverId }: Gtid): bigint {
  const { replica, target } = input;
  if (domain !== target.gtidDomainId) return 0n;
  const had = attachedItself(input) ? mergeStates(replica.contains, knownBefore(input)) : replica.contains;
  const others = [...(had.get(domain) ?? [])].filter(([id]) => id !== serverId);
  return others.reduce((most, [, seq]) => (seq > most ? seq : most), 0n);
}
