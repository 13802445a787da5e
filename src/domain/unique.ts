import type { TransactionContent, TransactionQuestion } from './evidence.ts';
import { answerTo } from './evidence.ts';
import { wasAsked } from './fact.ts';
import type { ProofInput, Refused } from './proof.ts';
import { incarnationKey } from './proof.ts';

/**
 * Says of transactions that only the replica has what the first and the last did and when, read from its own binlog.
 * Whoever decides about them must not have to read binlogs first. Asked once; the refusal stands without.
 */
export function describeUnique(input: ProofInput, refusal: Refused): Refused {
  const gtids = refusal.transactions?.gtids ?? [];
  const [first, last] = [gtids.at(0), gtids.at(-1)];
  if (!input.replica.look.logSlaveUpdates || first === undefined || last === undefined) return refusal;
  const [opening, closing] = [questionFor(input, first), questionFor(input, last)];
  const questions = [opening, closing].filter((question) => !wasAsked(answerTo(input.evidence, question)));
  const [one, other] = [foundBy(input, opening), foundBy(input, closing)];
  if (refusal.transactions === null || one === null || other === null) return { ...refusal, questions };
  const transactions = { ...refusal.transactions, firstAt: one.timestamp, lastAt: other.timestamp };
  const told = first === last ? text(first, one) : `${text(first, one)} to ${text(last, other)}`;
  return { ...refusal, transactions, message: `${refusal.message}. From its own binlog: ${told}` };
}

type Found = NonNullable<TransactionContent['found']>;

function questionFor({ replica }: ProofInput, gtid: string): TransactionQuestion {
  return { kind: 'Transaction', server: { pod: replica.pod }, incarnation: incarnationKey(replica.observed), gtid };
}

function foundBy({ evidence }: ProofInput, question: TransactionQuestion): Found | null {
  const answer = answerTo(evidence, question);
  return answer.known ? answer.value.found : null;
}

function text(gtid: string, { summary, timestamp }: Found): string {
  return `${gtid} (${new Date(timestamp).toISOString()}) ${summary}`;
}
