import type { Rehearsal } from './evidence.ts';
import { answerTo } from './evidence.ts';
import type { Gtid } from './gtid.ts';
import { beyond, formatGtid, stateHas, unknownDomains } from './gtid.ts';
import { binlogStateOf } from './memory.ts';
import type { Asking, ProofInput, Refused } from './proof.ts';
import { asking, headOf, incarnationKey, refused } from './proof.ts';

/**
 * The rehearsal: necessary, never sufficient. `firstMissing` is the first transaction that the replica is to get, where
 * that is known; a server that would begin elsewhere disagrees with the proof.
 */
export function proveRehearsal(
  input: ProofInput,
  gtidText: string,
  firstMissing: Gtid | null,
): Refused | Asking | null {
  const { holder } = input;
  const question = {
    kind: 'Rehearsal',
    member: holder.member.name,
    incarnation: incarnationKey(holder.member),
    gtid: gtidText,
  } as const;
  const answer = answerTo(input.evidence, question);
  if (!answer.known) return asking(`rehearsing ${gtidText} on ${holder.member.name}`, question);
  const rehearsal = answer.value;
  return rehearsal.accepted ? beginsElsewhere(input, rehearsal, firstMissing) : whyRefused(input, rehearsal);
}

function beginsElsewhere(
  { replica, holder }: ProofInput,
  { next }: Extract<Rehearsal, { accepted: true }>,
  firstMissing: Gtid | null,
): Refused | null {
  if (next === null) return null;
  const repeated = stateHas(replica.contains, next);
  const other = firstMissing !== null && formatGtid(next) !== formatGtid(firstMissing);
  if (!repeated && !other) return null;
  const expected = firstMissing === null ? 'a transaction that the replica lacks' : formatGtid(firstMissing);
  const harm = repeated ? 'that would come twice' : 'what lies between would be missing';
  const message = `${holder.member.name} would begin with ${formatGtid(next)}, the proof says ${expected}: ${harm}. Compare the last transactions of ${replica.pod} with the binlog of ${holder.member.name}, then reseed ${replica.pod}`;
  return refused('Unproven', 'WitnessesDisagree', message);
}

/** What is missing is told by what both sides have; the server's own words mislead and are evidence only. */
function whyRefused(input: ProofInput, { errno, text }: Extract<Rehearsal, { accepted: false }>): Refused | Asking {
  const { replica, holder, target } = input;
  const words = `. The answer of ${holder.member.name} was: ${errno} ${text}`;
  const [oldest] = target.files;
  if (oldest === undefined) return refused('Unproven', 'RehearsalRefused', unexplained(input) + words);
  const answer = headOf(input, oldest.name);
  if ('kind' in answer) return answer;
  const { gtidList } = answer.head;
  const purged = beyond(gtidList, replica.contains);
  const isKnown = unknownDomains(gtidList, replica.contains).length === 0;
  if (purged.length === 0 || !isKnown) return refused('Unproven', 'RehearsalRefused', unexplained(input) + words);
  const upTo = purged.map(formatGtid).join(', ');
  const message = `${replica.pod} lacks transactions up to ${upTo}, which lie before ${oldest.name}, the oldest binlog that ${holder.member.name} still has: reseed ${replica.pod}, or restore the purged files there`;
  return refused('Purged', 'Purged', message + words);
}

function unexplained({ replica, holder, target }: ProofInput): string {
  const { name } = holder.member;
  const lacked = [...replica.position.values()].filter((gtid) => !stateHas(binlogStateOf(target), gtid));
  const gtids = (lacked.length > 0 ? lacked : [...replica.position.values()]).map(formatGtid).join(', ');
  const missing =
    lacked.length > 0
      ? `its binlog does not reach ${gtids}`
      : `its binlog goes past ${gtids} and still cannot continue there, as where it lacks that very transaction or cannot read the file with it`;
  return `${name} would not continue ${replica.pod}: ${missing}. Let the VIP go to a member that has it in its binlog, or reseed ${replica.pod} from ${name}`;
}
