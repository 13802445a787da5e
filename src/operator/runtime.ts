import type { FileFiller, Filling } from '../act/file-filler.ts';
import type { ExternalReplica, HandoverRecord } from '../api/v1alpha1.ts';
import type { Clock } from '../clock.ts';
import type { Memory } from '../domain/memory.ts';
import type { Failures } from '../domain/pause.ts';
import type { Plan } from '../domain/plan.ts';
import type { Picture } from '../domain/judge.ts';
import type { PairMemory } from '../domain/situation.ts';
import { NEW_PAIR } from '../domain/situation.ts';
import type { Kube } from '../kube/client.ts';
import type { EvidenceStore } from '../observe/evidence.ts';
import type { Histories } from '../observe/histories.ts';
import type { Watcher } from '../observe/watcher.ts';
import type { Logger } from '../ops/log.ts';
import type { Place } from '../salvage/save.ts';
import type { Salvager } from '../salvage/salvager.ts';
import type { BinlogRange } from '../sql/binlog/range.ts';
import type { SqlConnect } from '../sql/port.ts';
import type { Acceptance } from './accept/accept.ts';
import type { OpenHandover } from './handover.ts';
import type { Hurry } from './pace.ts';
import type { ReadySessions } from './ready-sessions.ts';
import { createReadySessions } from './ready-sessions.ts';
import type { LinkAccounts } from './relink.ts';
import { NO_LINK_ACCOUNTS } from './relink.ts';
import { splitFromStatus } from './status-split.ts';
import type { StatusWriter } from './status-writer.ts';
import type { Tell } from './tell.ts';

/** What every resource shares. */
export interface Shared {
  readonly kube: Kube;
  readonly connect: SqlConnect;
  readonly clock: Clock;
  readonly log: Logger;
  readonly tell: Tell;
  readonly leaseDurationMs: number;
  /** One budget of hedged VIP probes for the whole process. */
  readonly mayHedge: () => boolean;
  /** And one of looks that do not wait for the probe interval. */
  readonly mayHurry: () => boolean;
  /** Null: replicas are not filled from binlog files. */
  readonly filler: FileFiller | null;
  /** Answers at every call, also right after the process was frozen. */
  readonly isLeader: () => boolean;
  /** Where what only one replica has is saved; null: nowhere. */
  readonly salvage: { readonly salvager: Salvager; readonly place: Place } | null;
  /** Aborted when leadership or the process ends. */
  readonly signal: AbortSignal;
}

export interface Job {
  readonly plan: Plan;
  what: string;
  /** Monotonic ms. */
  readonly since: number;
  readonly abort: AbortController;
}

/** One resource as this process knows it. Everything that must last is in the status; this is the working copy. */
export interface Runtime {
  readonly key: string;
  readonly shared: Shared;
  readonly writer: StatusWriter;
  /** Enqueues another pass. */
  readonly wake: () => void;
  resource: ExternalReplica;
  memory: Memory;
  pair: PairMemory;
  watcher: Watcher | null;
  evidence: EvidenceStore | null;
  histories: Histories | null;
  /** The last acceptance that was given. */
  accepted: Extract<Acceptance, { ok: true }> | null;
  picture: Picture | null;
  /** What is under way; null in calm. */
  hurry: Hurry | null;
  readonly jobs: Map<string, Job>;
  /** To replicas that are about to be moved. */
  readonly ready: ReadySessions;
  /** Monotonic ms at which the last plan on a pod ended. */
  readonly actedAt: Map<string, number>;
  /** Plans that stopped at a surprise lately, by pod. */
  readonly failures: Map<string, Failures>;
  /** Monotonic ms at which a setting of a pod's link was last set again. */
  readonly settingAt: Map<string, number>;
  linkAccounts: LinkAccounts;
  /** Pods whose label is being written. */
  readonly labelling: Set<string>;
  /** What was proven of binlog files lately. */
  readonly ranges: Map<string, BinlogRange>;
  /** What is handed out of files, by pod. */
  readonly fillings: Map<string, Filling>;
  open: OpenHandover | null;
  handovers: readonly HandoverRecord[];
  readonly approved: Set<string>;
  approvals: ExternalReplica['status']['approvals'];
  /** Monotonic ms of the last status that was offered for its positions alone. */
  refreshedAt: number;
  /** Monotonic ms at which a pass told last, and what will wake one that tells what is left. */
  toldAt: number;
  tellSoon: NodeJS.Timeout | null;
}

export function createRuntime(
  parts: Pick<Runtime, 'key' | 'shared' | 'writer' | 'wake' | 'resource' | 'memory'> & {
    readonly open: OpenHandover | null;
  },
): Runtime {
  const status = parts.resource.status;
  return {
    ...parts,
    pair: { ...NEW_PAIR, split: splitFromStatus(status.source.split) },
    watcher: null,
    evidence: null,
    histories: null,
    accepted: null,
    picture: null,
    hurry: null,
    jobs: new Map(),
    ready: createReadySessions({
      connect: parts.shared.connect,
      clock: parts.shared.clock,
      deadlineMs: () => parts.resource.spec.detection.probeTimeoutMs,
      signal: parts.shared.signal,
    }),
    actedAt: new Map(),
    failures: new Map(),
    settingAt: new Map(),
    linkAccounts: NO_LINK_ACCOUNTS,
    labelling: new Set(),
    ranges: new Map(),
    fillings: new Map(),
    handovers: status.handovers,
    approved: new Set(status.approvals.map((approval) => approval.id)),
    approvals: status.approvals,
    refreshedAt: Number.NEGATIVE_INFINITY,
    toldAt: Number.NEGATIVE_INFINITY,
    tellSoon: null,
  };
}

export function stopRuntime(runtime: Runtime): void {
  if (runtime.tellSoon !== null) clearTimeout(runtime.tellSoon);
  for (const job of runtime.jobs.values()) job.abort.abort();
  runtime.ready.want(new Map());
  for (const filling of runtime.fillings.values()) filling.withdraw();
  runtime.watcher?.stop();
  runtime.shared.salvage?.salvager.want(runtime.key, [], () => undefined);
}
