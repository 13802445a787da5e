import { z } from 'zod';
import {
  BASELINE_ORIGINS,
  CONDITIONS,
  FINDINGS,
  OUTCOMES,
  DONOR_KINDS,
  PROOFS,
  SITUATIONS,
  STEP_OUTCOMES,
  STEPS,
  TRIGGERS,
  VERDICTS,
} from './reasons.ts';
import { MemberStatus } from './status-member.ts';
import { bytes, count, file, gtid, Identity, listMap, Place, time, Transactions } from './status-parts.ts';

/**
 * What mxr writes: the answer to people and, at once, its own memory (handover.md "Memory").
 * A fact that is not known is absent, never 0 or empty. GTIDs and GTID states are MariaDB's own text.
 */

/** The last proven fact about a replica. */
export const Baseline = z.object({
  by: z.enum(BASELINE_ORIGINS),
  member: z.string(),
  lineage: z.string(),
  file: file.optional(),
  position: bytes.optional(),
  gtid,
  contains: gtid.describe('Per domain and server id, the last number proven to be in the replica.'),
  proof: z.enum(PROOFS).optional(),
  at: time,
});
export type Baseline = z.infer<typeof Baseline>;

/** What was read right after mxr stopped receiving: a reconnect may overwrite it on the replica. */
export const Captured = z.object({
  at: time,
  file: file.describe('Applied, in the binlog of the server it followed.'),
  position: bytes,
  readFile: file.describe('Received.'),
  readPosition: bytes,
  gtid,
  gtidIoPos: gtid,
});
export type Captured = z.infer<typeof Captured>;

export const ReplicaStatus = z.object({
  pod: z.string(),
  podUid: z.string().optional(),
  verdict: z.enum(VERDICTS),
  reason: z.string(),
  message: z.string().default(''),
  startedAt: time.optional(),
  captured: Captured.optional(),
  unsafeSince: time.optional().describe('Since when it may have applied rows twice: CrashUnsafePosition.'),
  haltedSince: time.optional().describe('Since when mxr itself keeps both threads stopped: nobody stopped it by hand.'),
  transactions: Transactions.optional().describe('What only this replica has.'),
  salvage: z
    .object({
      file: z.string().describe('A binlog file, by its path on the salvage volume of the operator.'),
      at: time,
      sha256: z.string(),
      count: count.describe('Transactions in it.'),
    })
    .optional()
    .describe('Where what only this replica has was saved last.'),
  attachedTo: z.string().optional(),
  ready: z.boolean(),
  gtid: gtid.optional(),
  file: file.optional(),
  position: bytes.optional(),
  lagSeconds: count.optional(),
  serving: z.boolean(),
  through: z.enum(['Member', 'VIP']).optional(),
  positioning: z.enum(['GTID', 'FilePosition']).optional(),
  baseline: Baseline.optional(),
  ownBinlog: z
    .object({ basename: z.string(), gtids: gtid })
    .optional()
    .describe(
      'What its own binlog had, per domain and server id: one that begins anew tells that its data was replaced.',
    ),
  knownSince: time.optional().describe('When it was seen with a link first.'),
  followed: z
    .object({ lineage: z.string(), contains: gtid })
    .optional()
    .describe('The history that it was proven on before, and what it had when it left that.'),
  lacks: z
    .array(gtid)
    .max(16)
    .default([])
    .describe(
      'Transactions that a holder without log_slave_updates had applied and does not log: the replica was seen to lack them.',
    ),
  clearedFor: file.optional().describe("File of the holder's restart after which it was proven or compared."),
  retentionHeadroomSeconds: count.optional(),
  foreignChanges: z.array(time).max(8).default([]).describe('When somebody else changed the link.'),
  since: time,
});
export type ReplicaStatus = z.infer<typeof ReplicaStatus>;

/** What comes before a move: the replica gets from a donor what the new holder cannot give it. */
export const IntentFill = z.object({
  donor: z.string().describe('The member, or the pod; of files, the member whose they are.'),
  kind: z.enum(DONOR_KINDS),
  host: z.string(),
  port: z.int(),
  startedAt: time.describe('The life of the donor in which it was seen to have what is missing.'),
  upTo: gtid.describe('Where the new holder took over: its link ends there.'),
  from: gtid.describe('Where the replica stood before.'),
});
export type IntentFill = z.infer<typeof IntentFill>;

export const IntentReplica = z.object({
  pod: z.string(),
  podUid: z.string().optional(),
  member: z.string(),
  incarnation: z.string().describe("The member's incarnation that the proof holds for."),
  lineage: z.string().optional(),
  gtid,
  file: file.optional(),
  position: bytes.optional(),
  proof: z.enum(PROOFS).optional(),
  step: z.enum(STEPS),
  fill: IntentFill.optional(),
  filledFrom: gtid.optional().describe('Where it stood before it was filled.'),
  arrived: z.boolean().optional().describe('It was moved and seen attached: nothing is wanted of it any more.'),
  replicaStartedAt: time
    .optional()
    .describe("When the replica's server had started: in that life it is mxr that starts the link, not the server."),
});
export type IntentReplica = z.infer<typeof IntentReplica>;

/** Written before the first statement that it covers; there only while a handover is open. */
export const Intent = z.object({
  id: z.string(),
  from: z.string(),
  to: z.string(),
  trigger: z.enum(TRIGGERS).optional(),
  startedAt: time,
  vipAnsweredAt: time.optional(),
  replicas: z.array(IntentReplica).max(500).default([]).meta(listMap('pod')),
});
export type Intent = z.infer<typeof Intent>;

export const Approval = z.object({
  id: z.string(),
  by: z.string(),
  at: time,
  via: z.string(),
});
export type Approval = z.infer<typeof Approval>;

export const StepRecord = z.object({
  step: z.enum(STEPS),
  outcome: z.enum(STEP_OUTCOMES),
  startedAt: time.optional(),
  durationMs: count,
  detail: z.string().default('').describe('The statement run or the answer found, without secrets.'),
});
export type StepRecord = z.infer<typeof StepRecord>;

export const HandoverReplica = z.object({
  pod: z.string(),
  proof: z.enum(PROOFS).optional(),
  from: Place,
  to: Place,
  durationMs: count,
  message: z.string().default('').describe('Why it was not moved, where it was not.'),
  steps: z.array(StepRecord).max(64).default([]),
});
export type HandoverReplica = z.infer<typeof HandoverReplica>;

export const HandoverRecord = z.object({
  id: z.string(),
  from: z.string(),
  to: z.string(),
  trigger: z.enum(TRIGGERS),
  startedAt: time,
  vipAnsweredAt: time.optional(),
  finishedAt: time,
  durationMs: count,
  outcome: z.enum(OUTCOMES),
  replicas: z.array(HandoverReplica).max(500).default([]).meta(listMap('pod')),
});
export type HandoverRecord = z.infer<typeof HandoverRecord>;

export const Condition = z.object({
  type: z.enum(CONDITIONS),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: time,
  observedGeneration: count.optional(),
});
export type Condition = z.infer<typeof Condition>;

export const FindingStatus = z.object({
  finding: z.enum(FINDINGS),
  severity: z.enum(['error', 'warning']),
  subject: z.string().describe('The member or pod concerned.'),
  message: z.string(),
});
export type FindingStatus = z.infer<typeof FindingStatus>;

export const VipStatus = z.object({ answers: z.boolean(), since: time.optional(), identity: Identity.optional() });
export type VipStatus = z.infer<typeof VipStatus>;

/** A split is remembered until it is resolved: what each side had when it began tells who wrote meanwhile. */
export const Split = z.object({
  id: z.string(),
  since: time,
  endedAt: time.optional(),
  sides: z
    .array(z.object({ member: z.string(), gtidBinlogState: gtid, file: file.optional(), position: bytes.optional() }))
    .max(9)
    .default([])
    .meta(listMap('member')),
});
export type Split = z.infer<typeof Split>;

export const SourceStatus = z.object({
  situation: z.enum(SITUATIONS).optional(),
  message: z.string().default(''),
  vip: VipStatus.optional(),
  members: z.array(MemberStatus).max(9).default([]).meta(listMap('name')),
  split: Split.optional(),
});
export type SourceStatus = z.infer<typeof SourceStatus>;

export const Status = z.object({
  observedGeneration: count.optional(),
  holder: z.string().default('').describe('The member that holds the VIP, proven; empty when not known.'),
  verdict: z.enum(VERDICTS).optional().describe("The worst replica's verdict."),
  lagSeconds: count.optional().describe('The largest; absent when unknown.'),
  lastHandover: time.optional(),
  following: z.string().default(''),
  source: SourceStatus.prefault({}),
  replicas: z.array(ReplicaStatus).max(500).default([]).meta(listMap('pod')),
  intent: Intent.optional(),
  approvals: z.array(Approval).max(32).default([]).meta(listMap('id')),
  handovers: z.array(HandoverRecord).max(10).default([]).meta(listMap('id')),
  findings: z.array(FindingStatus).max(200).default([]).describe('What the audit of the standby found.'),
  conditions: z.array(Condition).max(16).default([]).meta(listMap('type')),
});
export type Status = z.infer<typeof Status>;
