/**
 * Every name that mxr says aloud: in conditions, events, metrics, logs and docs it is the same constant.
 * A list may grow; a name never changes its meaning. Each table is `name -> what it means`, and the tables are
 * the source of docs/reference/reasons.md. This file imports nothing, so that domain/ may import it.
 */

function namesOf<T extends Record<string, string>>(table: T): readonly (keyof T & string)[] {
  return Object.keys(table);
}

/** Situations of the pair. */
export const SITUATION_TEXT = {
  Stable: 'One member holds the VIP, it is the one every replica follows, and it is writable.',
  VipMoved: "The holder is not the member of a replica's baseline: a handover is due.",
  HolderRestarted: 'The holder is the same server, started again: nothing attaches before its binlog is proven whole.',
  HolderReadOnly: 'The VIP answers on a member that is still read-only: its promotion is not finished.',
  HolderStillApplying:
    'The holder still applies what it received from the other member: its own history is not settled.',
  HolderUnknown: 'The server that answers behind the VIP is none of the members, or refuses mxr and cannot be asked.',
  SplitBrain: 'Two members claim the VIP and both write, or a member without the VIP logs writes of its own.',
  VipSilent: 'Nothing answers on the VIP, while at least one member answers on its own address.',
  DatabaseDown: 'The VIP is held, but the database behind it does not answer.',
  AllDown: 'Neither the VIP nor any member answers.',
} as const;
export type Situation = keyof typeof SITUATION_TEXT;
export const SITUATIONS: readonly Situation[] = namesOf(SITUATION_TEXT);

/** Verdicts of a replica, worst first: the order is part of the contract (`status.verdict` is the first that applies). */
export const VERDICT_TEXT = {
  Diverged: 'The same GTID has other content here than on the holder: proven, both versions are shown.',
  Ahead: 'The replica has transactions that the holder lacks; they are listed.',
  LocalConflict: "A write of the replica's own collides with a replicated one.",
  ApplierFailed: 'The SQL thread stopped with an error; by itself that proves nothing about the data.',
  Purged: 'The binlog that the replica needs next no longer exists on the holder.',
  Behind: "There is a gap between what the replica has and where the holder's own binlog begins.",
  Unproven:
    'No proof that the holder can continue this replica without loss or doubling; the reason says what is missing.',
  Frozen: 'Nothing moves while the pair is split or the holder is unknown.',
  LinkBroken: 'The link cannot connect (credentials, network, TLS); nothing is wrong with the position.',
  Unreachable: 'The replica does not answer mxr.',
  Unseeded: 'An empty replica that waits for its first data.',
  StoppedByHand: 'Somebody stopped replication on this replica; mxr leaves it alone.',
  Waiting: 'Nothing is wrong here; the source is not ready to be followed yet.',
  AwaitingApproval: 'The next step is proven and waits for a person; the message prints the id to approve.',
  Reseeding: 'New data is being loaded.',
  Filling: 'Missing transactions are being fetched from another server.',
  HandingOver: 'The replica is being moved to the holder.',
  CatchingUp: 'Attached at a proven position, more than 5 s behind, beyond its MASTER_DELAY.',
  Suspended: 'The resource is suspended or only observed: mxr looks and does nothing.',
  Following: 'Attached to the holder at a proven position and up to date.',
} as const;
export type Verdict = keyof typeof VERDICT_TEXT;
export const VERDICTS: readonly Verdict[] = namesOf(VERDICT_TEXT);
/** The verdicts of a replica that is `ready`. */
export const READY_VERDICTS = ['CatchingUp', 'Following'] as const satisfies readonly Verdict[];

/** Reasons of the condition `Accepted`. */
export const ACCEPTED_REASON_TEXT = {
  Accepted: 'Everything that the resource names exists and may be used.',
  SpecInvalid: 'The resource could not be read; the message names the field and what to write.',
  SecretMissing: 'A Secret that the resource names does not exist.',
  SecretKeyMissing: 'A Secret lacks a key that mxr needs, or the key is empty.',
  AccessDenied: 'A server refused the account.',
  GrantMissing: 'An account lacks a grant; the message names it and the statement that gives it.',
  HostUnresolved: 'A host name does not resolve.',
  TlsRefused: 'A server and the requested TLS mode do not fit.',
  UnsupportedServer: 'A server is not MariaDB 10.5 or later.',
  NotImplemented: 'The resource asks for a behaviour that does not exist yet; the message names the field.',
  NoReplicaSelected: 'The selector matches no pod.',
  SelectedTwice: 'A pod is selected by another MariaDBExternalReplica too; neither acts on it.',
  ManagedByOther: "A pod's owner manages its replication itself.",
} as const;
export type AcceptedReason = keyof typeof ACCEPTED_REASON_TEXT;
export const ACCEPTED_REASONS: readonly AcceptedReason[] = namesOf(ACCEPTED_REASON_TEXT);

/** Reasons of the verdict `Unproven`: what is missing for a proof. */
export const UNPROVEN_REASON_TEXT = {
  NotAdopted: 'mxr has not seen this replica in calm yet, so it knows nothing proven about it.',
  UnknownDomain:
    "The holder's binlog has a GTID domain or server id that the replica never had; attaching would replay it.",
  HolderHidesPeerWrites:
    'The holder applies writes of its peer which its own binlog does not show (log_slave_updates=0).',
  CrashUnsafePosition: 'A file/position replica restarted and its threads ran before anybody could look.',
  LostTail: 'A server restarted without the end of its binlog; rows may be there that no binlog has.',
  StandbyNeverSeen: 'Nobody saw the new holder as a standby, so the place where it took over is not known.',
  NotComparable: 'The last transactions on both sides could not be compared by content.',
  WitnessesDisagree: 'Two witnesses of one fact say different things.',
  Contested: 'Somebody else changed the link twice within ten minutes; mxr leaves it alone.',
  LineageChanged: 'The server has another binlog history than the one the position was read from.',
  TakeoverUnknown: "The holder's own coordinates at its takeover are not known.",
  FiltersDiffer: 'The replica filters what it replicates in another way than link.filters declares.',
  NotPrefix: "The replica's transactions are not a prefix of the holder's binlog: it has some after one that it lacks.",
  OrderDiffers:
    'The holder applied transactions of two GTID domains in another order than the replica would, and they may touch the same rows.',
  RehearsalRefused: 'The holder refused the position when it was rehearsed; its own words are in the message.',
  IntentMismatch: 'The link shows something else than what the open handover intended.',
  SharedStorageTwice:
    'Two members of one shared storage (topology: SharedStorage) were seen alive at the same time: its data may be destroyed.',
  ReplicaRestarted: 'The replica restarted and its position is not proven again yet.',
} as const;
export type UnprovenReason = keyof typeof UNPROVEN_REASON_TEXT;
export const UNPROVEN_REASONS: readonly UnprovenReason[] = namesOf(UNPROVEN_REASON_TEXT);

/** Reasons beside the other verdicts, where something finer than the verdict or the situation is known. */
export const PROGRESS_REASON_TEXT = {
  NotLookedYet: 'Not everything has answered once since mxr started.',
  DrainSlow: 'Applying what was received has taken more than 60 s; nothing is thrown away, so mxr waits.',
  HoldDown: 'The holder is proven, but not for holdDownSeconds yet.',
  LinkAuthentication: 'The source refuses the account of the link.',
  LinkNetwork: 'The replica cannot reach the source.',
  LinkTls: 'The TLS handshake of the link fails.',
  HandoverNeedsApproval: 'policy.handover is Confirm: the proven handover waits for an approval.',
  ReseedNeedsApproval: 'A reseed waits for an approval.',
  ObserveOnly: 'policy.handover is Observe: mxr says what it would do and does nothing.',
  Stale: 'The replica is over serving.maxStalenessSeconds.',
  NoFinding: 'The audit found nothing that stands in the way of a failover.',
} as const;
export type ProgressReason = keyof typeof PROGRESS_REASON_TEXT;
export const PROGRESS_REASONS: readonly ProgressReason[] = namesOf(PROGRESS_REASON_TEXT);

/** Findings of the audit that the standby could take over now (`FailoverReady`). */
export const FINDING_TEXT = {
  VipLink: 'A replica dials the VIP: its own reconnect can land on another server behind the back of mxr.',
  NotAdopted: 'A replica is not adopted yet.',
  HolderUnknownMember: 'The server behind the VIP is none of the members.',
  NoStandby: 'The source has one member: nobody could take over.',
  HolderNotSeen: 'Nobody was seen to hold the VIP since the operator began: which member is the standby is not known.',
  StandbyHistoryBroken:
    'A standby lost the end of its binlog: replicas that were proven before could not be continued there.',
  StandbyUnreachable: 'A standby does not answer.',
  StandbyNotApplying: 'A standby does not receive or does not apply.',
  StandbyLagging: 'A standby is behind the holder.',
  StandbyOwnWrites: 'A standby has transactions of its own that the holder lacks.',
  StandbyWritable: 'A member without the VIP takes writes.',
  PeerLinkBroken: 'The holder does not take in what the other primary writes.',
  StandbyLogSlaveUpdatesOff:
    'A standby does not log what it applies: its binlog cannot continue a replica by GTID alone.',
  ReplicaLogSlaveUpdatesOff: 'A replica does not log what it applies: its content cannot be compared.',
  SyncBinlogOff: 'A member may lose the end of its binlog in a crash (sync_binlog is not 1).',
  SlaveSkipErrors: 'A server skips replication errors: its data may differ already, and nothing says so.',
  MemberFilters:
    'A member leaves databases or tables out of its binlog, or of what it replicates: no number shows what is missing there.',
  EqualServerIds: 'Two servers have one server_id.',
  LinkSettingsNotPersistent:
    "A setting of the link is not in the replica's configuration and is lost at its next restart.",
  VersionOrder: 'A replica is older than a member that it may have to follow.',
  SharedStorageTwice: 'Two members of what is declared as one shared storage ran at the same time.',
  BinlogNameFollowsHost:
    'On shared storage the binlog is named after the host: after a move a new one begins, and no replica can be continued.',
  ReplicaWritable: 'A replica may be written to although replicas.localWrites is Forbidden.',
  PublisherUnreachable: 'The publisher of a member does not answer, or what it answers cannot be read.',
  PublisherDisagrees: 'The publisher of a member speaks of another server, or says of the VIP what is not so.',
  PeerWritesMissing: 'The other member does not answer, and had logged transactions that the holder does not have.',
  PublisherPlainHttp: 'A token is sent to a publisher over plain http.',
  ClockSkew: 'The clock of a host of the pair and the clock of mxr are more than a minute apart.',
} as const;
export type Finding = keyof typeof FINDING_TEXT;
export const FINDINGS: readonly Finding[] = namesOf(FINDING_TEXT);

/** What may stand in `reason` of a replica or a condition: the finest name that is known. */
export type Reason = Situation | Verdict | AcceptedReason | UnprovenReason | ProgressReason | Finding;
export const REASONS: readonly Reason[] = [
  ...new Set<Reason>([
    ...SITUATIONS,
    ...VERDICTS,
    ...ACCEPTED_REASONS,
    ...UNPROVEN_REASONS,
    ...PROGRESS_REASONS,
    ...FINDINGS,
  ]),
];

/** Conditions: all "True is good". */
export const CONDITION_TEXT = {
  Accepted: 'The resource can be acted upon. False: nothing is done; the reason says what to mend.',
  Ready: 'Every replica is attached to the holder at a proven position, applying, within serving.maxStalenessSeconds.',
  SourceAvailable: 'The VIP answers and belongs to a member. False in VipSilent, DatabaseDown, AllDown, HolderUnknown.',
  SourceUnambiguous: 'No split brain.',
  ReplicasIntact: 'No replica is Diverged, Ahead, LocalConflict, Purged, Behind or Unproven.',
  FailoverReady: 'The standby could take over now: no finding of severity error stands.',
} as const;
export type ConditionType = keyof typeof CONDITION_TEXT;
export const CONDITIONS: readonly ConditionType[] = namesOf(CONDITION_TEXT);

/** Steps of a handover, in order; also the closed set of `mxr_statements_total{statement}`. */
export const STEP_TEXT = {
  StopReceiving: 'Stop the IO thread; what was received stays and is applied.',
  Capture: 'Write down every coordinate of the replica, which a reconnect may overwrite.',
  Drain: 'Wait until everything received is applied.',
  Rehearse: 'Ask the new server, by a dump that ends at once, whether and where it would continue.',
  Prove: 'Check the proof against live values.',
  Stop: 'Stop both threads.',
  Change: 'CHANGE MASTER, with everything named explicitly.',
  Start: 'START SLAVE.',
  VerifyAttached: 'See the dump connection on the holder, both threads running, and something arriving.',
} as const;
export type Step = keyof typeof STEP_TEXT;
export const STEPS: readonly Step[] = namesOf(STEP_TEXT);

export const STEP_OUTCOMES = ['ok', 'error', 'deadline'] as const;
export type StepOutcome = (typeof STEP_OUTCOMES)[number];

/** Proofs in a handover record. */
export const PROOF_TEXT = {
  SameServer: 'The same binlog lineage: it resumes at the same coordinates.',
  Contained: "The new holder's binlog contains everything the replica has, and everything that follows it.",
  TakeoverPoint: 'The replica stands exactly where the new holder took over.',
  Filled: 'The missing transactions were fetched up to the takeover point.',
  Reseeded: 'Loaded from a backup at a known position of a proven lineage.',
} as const;
export type Proof = keyof typeof PROOF_TEXT;
export const PROOFS: readonly Proof[] = namesOf(PROOF_TEXT);

/** How a handover ended. */
export const OUTCOME_TEXT = {
  Completed: 'Every replica was moved and seen attached.',
  Partial: 'Some replicas were moved, others were refused or failed.',
  Refused: 'No replica could be proven; none was changed.',
  Abandoned: 'The situation changed before the first CHANGE; nothing was moved.',
} as const;
export type Outcome = keyof typeof OUTCOME_TEXT;
export const OUTCOMES: readonly Outcome[] = namesOf(OUTCOME_TEXT);

/** What began a handover. */
export const TRIGGER_TEXT = {
  VipMoved: 'The VIP moved to another member.',
  HolderRestarted: 'The holder restarted.',
  Adoption: 'A replica was adopted.',
  Approval: 'A person approved.',
  Resume: 'A link that mxr or a restart had stopped was proven and started again.',
} as const;
export type Trigger = keyof typeof TRIGGER_TEXT;
export const TRIGGERS: readonly Trigger[] = namesOf(TRIGGER_TEXT);

/** Who gives a replica what the new holder cannot. */
export const DONOR_KINDS = ['Member', 'Sibling', 'Files'] as const;
export type DonorKind = (typeof DONOR_KINDS)[number];

/** What proved a baseline. */
export const BASELINE_ORIGINS = ['Adopted', 'Handover', 'Reseeded'] as const;
export type BaselineOrigin = (typeof BASELINE_ORIGINS)[number];
