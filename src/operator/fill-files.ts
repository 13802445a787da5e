import type { ExecuteContext } from '../act/execution.ts';
import type { FilesAnswer, FilesQuestion } from '../domain/evidence.ts';
import { formatPosition, parsePosition, stateOf } from '../domain/gtid.ts';
import type { GtidPosition } from '../domain/gtid.ts';
import type { Plan } from '../domain/plan.ts';
import { withDeadline } from '../deadline.ts';
import { MxrError } from '../errors.ts';
import type { FileFiller } from '../act/file-filler.ts';
import type { PublisherTarget } from '../publisher/client.ts';
import type { BinlogRange, RangeAnswer } from '../sql/binlog/range.ts';
import type { Runtime } from './runtime.ts';

/** A disk of many gigabytes, at the rate that a publisher allows itself. */
const PROOF_DEADLINE_MS = 1_800_000;
const MAX_RANGES = 64;

type Wanted = Pick<FilesQuestion, 'member' | 'serverId'> & {
  readonly from: GtidPosition;
  readonly upTo: GtidPosition;
};

/** Reads the files once, and remembers what it proved until a replica is filled from it. */
export async function askFiles(runtime: Runtime, question: FilesQuestion): Promise<FilesAnswer> {
  const { member, serverId } = question;
  const [from, upTo] = [parsePosition(question.from), parsePosition(question.upTo)];
  if (from === undefined || upTo === undefined) return { accepted: false, why: 'the positions are malformed' };
  const answer = await prove(runtime, { member, serverId, from, upTo });
  if (answer.kind === 'Refused') return { accepted: false, why: answer.message };
  const { transactions, bytes, parts } = answer.range;
  const starts = parts.filter(({ head }) => head.format.byServerStart).map(({ head }) => stateOf(head.before));
  return { accepted: true, transactions, bytes, starts };
}

async function prove(runtime: Runtime, { member, serverId, from, upTo }: Wanted): Promise<RangeAnswer> {
  const { filler, publisher } = partsFor(runtime, member);
  const remembered = runtime.memory.members.get(member)?.files ?? [];
  const places = { from, until: upTo, fromAt: null, untilAt: null };
  const operation = 'read the binlog files';
  const deadline = { ms: PROOF_DEADLINE_MS, operation, target: filesOf(member), signal: runtime.shared.signal };
  const answer = await withDeadline(deadline, (signal) =>
    filler.prove(publisher, { ...places, serverId, remembered }, signal),
  );
  if (answer.kind === 'Range') {
    runtime.ranges.set(keyOf(member, from, upTo), answer.range);
    for (const oldest of runtime.ranges.keys()) {
      if (runtime.ranges.size <= MAX_RANGES) break;
      runtime.ranges.delete(oldest);
    }
  }
  return answer;
}

/** The link to mxr itself, where this plan fills from files: offered now, for this replica and once. Null: any other plan. */
export async function linkFor(
  runtime: Runtime,
  plan: Plan,
  { link, replicaIp, signal }: ExecuteContext,
): Promise<ExecuteContext['link'] | null> {
  if (plan.fill?.donor.kind !== 'Files' || plan.proven === null) return null;
  const { member } = plan.fill.donor;
  const { filler, publisher } = partsFor(runtime, member);
  const range = await rangeOf(runtime, plan, member);
  runtime.fillings.get(plan.pod)?.withdraw();
  signal.throwIfAborted();
  const filling = await filler.offer({ publisher, range, replica: replicaIp, signal: runtime.shared.signal });
  runtime.fillings.set(plan.pod, filling);
  void filling.ended.then(() => {
    if (runtime.fillings.get(plan.pod) === filling) runtime.fillings.delete(plan.pod);
    runtime.wake();
  });
  return { ...link, ...filling.account, tls: { mode: 'Disabled', caFile: '', certFile: '', keyFile: '' } };
}

/** What was proven for the question of the plan; proven once more where this process does not have it any more. */
async function rangeOf(runtime: Runtime, { proven, fill, pod }: Plan, member: string): Promise<BinlogRange> {
  const from = proven?.gtid ?? new Map();
  const upTo = new Map([...from, ...(fill?.upTo ?? [])]);
  const known = runtime.ranges.get(keyOf(member, from, upTo));
  if (known !== undefined) return known;
  const serverId = runtime.memory.members.get(member)?.identity.serverId ?? 0;
  const answer = await prove(runtime, { member, serverId, from, upTo });
  if (answer.kind === 'Range') return answer.range;
  throw failed(`fill replica ${pod}`, member, answer.message);
}

function partsFor(runtime: Runtime, member: string): { filler: FileFiller; publisher: PublisherTarget } {
  const publisher = runtime.accepted?.targets.members.find((one) => one.name === member)?.publisher;
  const { filler } = runtime.shared;
  if (publisher === undefined) throw failed('read the binlog files', member, 'it has no publisher');
  if (filler === null) throw failed('read the binlog files', member, 'MXR_FILL_PORT is not set');
  return { filler, publisher };
}

function keyOf(member: string, from: GtidPosition, upTo: GtidPosition): string {
  return `${member} ${formatPosition(from)} ${formatPosition(upTo)}`;
}

function failed(operation: string, member: string, detail: string): MxrError {
  return new MxrError({ code: 'BinlogRefused', operation, target: filesOf(member), detail, retryable: true });
}

function filesOf(member: string): string {
  return `the binlog files of ${member}`;
}
