import { APPROVE_ANNOTATION } from '../api/names.ts';
import type { MemberStatus } from '../api/status-member.ts';
import type { Transactions } from '../api/status-parts.ts';
import type { Condition, ReplicaStatus, Status } from '../api/status.ts';
import { SALVAGE_SAID } from './salvage.ts';

/**
 * Whether the status must be written now. Positions, lag, sizes and the last look at a standby move all the time: they
 * are refreshed at most every 30 s; everything that somebody waits for, or that another process would act on, at once.
 */
export function materialChange(before: Status | null, after: Status): boolean {
  return before === null || JSON.stringify(materialOf(before)) !== JSON.stringify(materialOf(after));
}

function materialOf(status: Status): unknown {
  const { source } = status;
  return [
    status.observedGeneration,
    status.holder,
    status.verdict,
    status.following,
    source.situation,
    source.vip?.answers,
    source.vip?.identity,
    source.split,
    source.members.map(memberOf),
    status.replicas.map(replicaOf),
    status.intent,
    status.approvals,
    // A record never changes once it is written.
    status.handovers.map(({ id, finishedAt }) => [id, finishedAt]),
    status.findings.map(({ finding, severity, subject }) => [finding, severity, subject]),
    status.conditions.map(conditionOf),
  ];
}

function memberOf(member: MemberStatus): unknown {
  const { name, reachable, holdsVip, readOnly, version, logSlaveUpdates, applying, lineage, inQuestion } = member;
  const { broken, identity, ownTransactions, errant } = member;
  return [
    name,
    reachable,
    holdsVip,
    readOnly,
    version,
    logSlaveUpdates,
    applying,
    lineage,
    inQuestion,
    broken,
    identity,
    settled(ownTransactions),
    errant,
    logSlaveUpdates === false ? ownHistoryOf(member) : null,
  ];
}

/** As long as more are written the number is no news. */
function settled(transactions: Transactions | undefined): unknown {
  return transactions?.bytes === undefined || transactions.atLeast === true ? null : transactions;
}

/** Where its own history would begin: moves only with what it logs itself, and whoever comes after a crash needs it. */
function ownHistoryOf({ lastStandby }: MemberStatus): unknown {
  return lastStandby === undefined ? null : [lastStandby.file, lastStandby.position];
}

function replicaOf(replica: ReplicaStatus): unknown {
  const { pod, podUid, verdict, reason, attachedTo, ready, serving, through, positioning, startedAt } = replica;
  const { captured, baseline, foreignChanges, lacks, transactions, salvage } = replica;
  const proven = baseline === undefined ? null : [baseline.by, baseline.member, baseline.lineage];
  const facts = [pod, podUid, verdict, reason, attachedTo, ready, serving, through, positioning, startedAt];
  return [
    ...facts,
    captured,
    proven,
    foreignChanges,
    lacks,
    settled(transactions),
    salvage,
    SALVAGE_SAID.exec(replica.message)?.[0],
    printsAnId(replica) ? replica.message : null,
  ];
}

/** A person copies the id out of these messages: an old one would approve nothing. */
function printsAnId({ message }: ReplicaStatus): boolean {
  return message.includes(APPROVE_ANNOTATION);
}

/** Counted seconds and transactions in a message are not news; what it asks a person to mend is. */
function conditionOf({ type, status, reason, message, observedGeneration }: Condition): unknown {
  const text = type === 'Accepted' ? message : message.replaceAll(/\d+/g, '#');
  return [type, status, reason, text, observedGeneration];
}
