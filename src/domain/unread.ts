import type { Evidence, Question, WalkedTransaction } from './evidence.ts';
import { answerTo } from './evidence.ts';
import type { Gtid } from './gtid.ts';
import type { Anchor, MemberMemory, Unread } from './memory.ts';
import type { MemberObservation } from './observation.ts';
import { incarnationKey } from './proof.ts';

type Read = { readonly memory: MemberMemory } | { readonly questions: readonly Question[] };

/**
 * What a server without log_slave_updates applied while nobody looked is in no binlog and may be in no position any more.
 * One trace stays: its own next transaction counts on from what it applied, so its binlog lacks those numbers.
 */
export function readUnread(
  memory: MemberMemory,
  observed: MemberObservation,
  { evidence, wallNow }: { readonly evidence: Evidence; readonly wallNow: number },
): Read {
  const { unread } = memory;
  if (unread === null || memory.inQuestion) return { memory };
  const question = {
    kind: 'Walk',
    member: observed.name,
    incarnation: incarnationKey(observed),
    from: unread.before.end,
    through: unread.through,
    firstOnly: false,
  } as const;
  const walk = answerTo(evidence, question);
  if (!walk.known) return { questions: [question] };
  const { transactions, truncated } = walk.value;
  const between = missingNumbers(unread.before, transactions);
  if (between !== null) return { memory: { ...memory, unread: null, tookIn: { between, at: wallNow } } };
  return { memory: { ...memory, unread: truncated === null ? null : restOf(unread, transactions) } };
}

/** A walk that was cut says nothing of what follows: it goes on at the last transaction that was read. */
function restOf({ before, through }: Unread, walked: readonly WalkedTransaction[]): Unread {
  const last = walked.at(-1);
  const read = walked.slice(0, -1).map(({ gtid }) => [gtid.domain, gtid] as const);
  return {
    before: { ...before, end: last?.at ?? before.end, binlogPos: new Map([...before.binlogPos, ...read]) },
    through,
  };
}

/** The transactions before and after the first jump of each domain that somebody wrote to; null: every number is there. */
function missingNumbers(before: Anchor, walked: readonly WalkedTransaction[]): Gtid[] | null {
  const last = new Map<number, Gtid>();
  for (const gtid of [...before.binlogPos.values(), ...before.slavePos.values()]) {
    const known = last.get(gtid.domain);
    if (known === undefined || known.seq < gtid.seq) last.set(gtid.domain, gtid);
  }
  for (const { gtid } of walked) {
    const previous = last.get(gtid.domain);
    if (previous !== undefined && gtid.seq > previous.seq + 1n) return [previous, gtid];
    last.set(gtid.domain, gtid);
  }
  return null;
}
