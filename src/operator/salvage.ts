import { createHash } from 'node:crypto';
import type { HistoryWanted } from '../domain/histories.ts';
import { isSalvaged } from '../domain/histories.ts';
import type { ReplicaObservation, ServerLook } from '../domain/observation.ts';
import type { Decision } from '../domain/verdict.ts';
import type { Settled } from '../observe/histories.ts';
import type { FileSink } from '../salvage/file-sink.ts';
import type { SalvageState, SalvageWanted } from '../salvage/salvager.ts';
import type { Extracted } from '../sql/binlog/extract.ts';
import { extract } from '../sql/binlog/extract.ts';
import { gtidAt, podTarget } from './ask.ts';
import type { Runtime } from './runtime.ts';
import { bounded, iso } from './status-parts.ts';

/** Of one set. */
const DEADLINE_MS = 300_000;
/** What others wrote in between is read, too. */
const READ_FACTOR = 4;

/** Has what only these replicas have saved, once all of it that their binlogs have was seen. Only enqueues. */
export function salvageUnique(
  runtime: Runtime,
  unique: readonly HistoryWanted[],
  decisions: readonly Decision[],
): void {
  const { salvage } = runtime.shared;
  if (salvage === null) return;
  const replicas = runtime.watcher?.observation().replicas ?? [];
  const wanted = unique.flatMap((one) => {
    const pod = 'pod' in one.server ? one.server.pod : undefined;
    const observed = replicas.find((replica) => replica.pod === pod);
    const decision = decisions.find((replica) => replica.pod === pod);
    const settled = runtime.histories?.settled(one.server, one.unique) ?? null;
    if (observed?.look.known !== true || decision === undefined || settled === null) return [];
    return [salvageOf(runtime, { wanted: one, observed, look: observed.look.value, decision, settled })];
  });
  salvage.salvager.want(runtime.key, wanted, runtime.wake);
}

interface Found {
  readonly wanted: HistoryWanted;
  readonly observed: ReplicaObservation;
  readonly look: ServerLook;
  readonly decision: Decision;
  readonly settled: Settled;
}

function salvageOf(runtime: Runtime, found: Found): SalvageWanted {
  const { observed, look, decision, settled } = found;
  const { namespace, name } = runtime.resource.metadata;
  const { hostname, serverId, serverUid, startedAt } = look.identity;
  const { history } = settled;
  return {
    subject: {
      set: setOf(found),
      namespace,
      name,
      pod: observed.pod,
      server: { hostname, serverId, serverUid, startedAt: iso(startedAt) },
      verdict: decision.verdict,
      gtids: [...new Set([...history.first, ...history.last])],
      complete: history.complete,
      atLeast: history.count,
    },
    extract: (sink) => copyOut(runtime, observed.pod, settled, sink),
  };
}

/** The same transactions of the same server have the same name, whoever lacks them. */
function setOf({ wanted: { unique }, look: { identity }, settled: { history } }: Found): string {
  const { count, bytes, first, last, firstAt, lastAt } = history;
  const through = unique.kind === 'Beyond' ? unique.ranges.map((range) => String(range.through)) : [];
  const server = [identity.hostname, identity.serverId, identity.datadir];
  const text = JSON.stringify([server, count, bytes, first, last, firstAt, lastAt, through]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

async function copyOut(
  runtime: Runtime,
  pod: string,
  { history, selects }: Settled,
  sink: FileSink,
): Promise<Extracted> {
  const { salvage, signal } = runtime.shared;
  const maxSize = salvage?.place.maxBytes ?? 0;
  const from = history.from ?? { file: '', position: 4 };
  const before = await gtidAt(runtime, podTarget(runtime, pod), from);
  const limits = { deadlineMs: DEADLINE_MS, maxBytes: READ_FACTOR * maxSize, signal };
  return extract(podTarget(runtime, pod), {
    from,
    before: [...(before?.values() ?? [])],
    selects,
    limits,
    sink,
    maxSize,
  });
}

/** How what became of it begins in a message. */
export const SALVAGE_SAID = /(?:Nothing (?:can be|is) saved|Not saved yet|Not saved|Saved): /;

/** What became of it, for the end of the replica's message; empty: there is nothing to save. */
export function salvageText(
  decision: Decision,
  look: ServerLook | undefined,
  state: SalvageState | 'Off' | null,
): string {
  if (!isSalvaged(decision) || look === undefined) return '';
  if (!look.logBin || !look.logSlaveUpdates) {
    return 'Nothing can be saved: it has no binlog of what it applied (log_slave_updates=0), and its relay log may be the only copy; keep its pod and its volume';
  }
  if (state === 'Off') {
    return 'Nothing is saved: the operator has no salvage volume (chart value salvage, MXR_SALVAGE_DIR); keep the pod and its volume';
  }
  if (state === null || state.kind === 'Pending') return 'Not saved yet: it is being read';
  if (state.kind === 'Failed') return bounded(`Not saved: ${state.message}`, 300);
  const { count, file, complete } = state.manifest;
  const all = complete ? '' : ', which may not be all';
  return bounded(`Saved: ${count} transactions${all}, as ${file} on the salvage volume`, 300);
}
