import type { Context } from './context.ts';
import { restartDoubt } from './after-restart.ts';
import { linkTarget } from './context.ts';
import { attachmentOf } from './attached.ts';
import { beyond, formatGtid, formatPosition, gtidsOf, mergeStates, stateOfPosition, unknownDomains } from './gtid.ts';
import type { GtidState } from './gtid.ts';
import type { Holder } from './holder.ts';
import { loggedBetween, seenHidden, tookInBetween } from './hidden.ts';
import { binlogStateOf } from './memory.ts';
import type { Memory } from './memory.ts';
import { hasFile } from './observation.ts';
import type { ServerLook } from './observation.ts';
import { planAdopt, sameDial } from './plan.ts';
import type { Proven, Refused } from './proof.ts';
import { lacking, proveContent, refused } from './proof.ts';
import type { ReplicaFacts } from './replica.ts';
import { refusedBefore, restore } from './restore.ts';
import { isClear } from './situation.ts';
import type { Decision } from './verdict.ts';
import { decide } from './verdict.ts';

/**
 * A replica without a baseline is never touched until a calm look has proven where it stands: attached to the proven
 * holder, at a position of that lineage, with nothing of the holder's history missing (handover.md, First sight).
 */
export function decideAdoption(context: Context, replica: ReplicaFacts): Decision {
  const { pod } = replica;
  const holder = context.diagnosis.holder;
  if (!isClear(context.diagnosis)) {
    return notYet(replica, `mxr has no baseline of it and waits for calm (${context.diagnosis.situation})`);
  }
  const target = holder?.look ?? null;
  if (holder === null || target === null) return notYet(replica, 'the holder was not looked at yet');
  const undone = restore(context, replica, holder);
  if (undone !== null) return undone;
  const attachment = attachmentOf(context, replica, holder);
  if (attachment === 'No') return notYet(replica, whyNotAttached(replica, holder));
  const again = lookAgain(replica, holder, target) ?? tookInMeanwhile(context, replica, holder);
  if (again !== null) return again;
  const doubt = doubtOf(context, replica, holder, target);
  if (doubt !== null)
    return decide(pod, doubt.verdict, doubt.reason, doubt.message, { transactions: doubt.transactions });
  const reused = reusedNumbers(context, replica, holder) ?? refusedBefore(context, replica);
  if (reused !== null) return reused;
  return adopt(context, replica, holder, target);
}

/** Where the holder is known to have restarted, a replica may be attached over a lost tail: what can be compared must be equal. */
function reusedNumbers(context: Context, replica: ReplicaFacts, holder: Holder): Decision | null {
  const { restart = null, storage = null, broken = null } = context.memory.members.get(holder.member.name) ?? {};
  const input = { replica, holder, evidence: context.evidence };
  // On the same data under another binlog the numbers begin anew: an equal one says nothing.
  const beganAnew = storage !== null && broken?.reason === 'LineageChanged';
  const doubt = restart !== null ? restartDoubt(input, restart) : beganAnew ? proveContent(input) : null;
  if (doubt?.kind === 'Asking') {
    return decide(replica.pod, 'Unproven', 'NotAdopted', doubt.message, { questions: doubt.questions });
  }
  if (doubt?.verdict !== 'Diverged') return null;
  return decide(replica.pod, doubt.verdict, doubt.reason, doubt.message, { transactions: doubt.transactions });
}

function notYet({ pod, memory }: ReplicaFacts, message: string): Decision {
  const text = memory.forgotten === null ? message : `${message}; ${memory.forgotten}`;
  return decide(pod, 'Unproven', 'NotAdopted', text);
}

function whyNotAttached(replica: ReplicaFacts, holder: Holder): string {
  const { link } = replica;
  if (link.io !== 'Yes' || link.sql !== 'Yes') {
    const error = link.ioErrno === 0 ? '' : ` (${link.ioErrno} ${link.ioError})`;
    return `its threads are IO ${link.io}${error}, SQL ${link.sql}; it is adopted once it replicates from ${holder.member.name}`;
  }
  return `it replicates from ${link.host}:${link.port}, and ${holder.member.name} has no binlog dump from ${replica.observed.ip ?? 'its address'}`;
}

function aheadOf(replica: ReplicaFacts, target: ServerLook) {
  return beyond(stateOfPosition(replica.position), mergeStates(binlogStateOf(target), hiddenState(target)));
}

/** It has more than an older look at the holder shows: it is ahead, or the holder has logged that meanwhile. */
function lookAgain(replica: ReplicaFacts, holder: Holder, target: ServerLook): Decision | null {
  const after = replica.standing.since;
  if (holder.lookAt > after || aheadOf(replica, target).length === 0) return null;
  const message = `looking at ${holder.member.name} again before anything is said of what ${replica.pod} has`;
  const question = { kind: 'LiveLook', target: { member: holder.member.name }, after } as const;
  return decide(replica.pod, 'Unproven', 'NotAdopted', message, { questions: [question] });
}

/** Both directions, as far as a first look can tell. */
function doubtOf({ memory }: Context, replica: ReplicaFacts, holder: Holder, target: ServerLook): Refused | null {
  const state = binlogStateOf(target);
  const domains = unknownDomains(state, replica.contains);
  if (domains.length > 0) {
    const gtids = gtidsOf(state)
      .filter((gtid) => domains.includes(gtid.domain))
      .map(formatGtid);
    const message = `the binlog of ${holder.member.name} has the GTID domain ${domains.join(', ')} (${gtids.join(', ')}), which ${replica.pod} never had; by GTID it would be replayed from its start`;
    return refused('Unproven', 'UnknownDomain', message, { count: null, gtids });
  }
  if (replica.position.size === 0) {
    return refused(
      'Unproven',
      'NotComparable',
      `${replica.pod} has no GTID position: it never applied a transaction that carries one`,
    );
  }
  const ahead = aheadOf(replica, target);
  if (ahead.length > 0) {
    const transactions = lacking(ahead, state);
    const message = `${replica.pod} has ${transactions.gtids.join(', ')}, which ${holder.member.name} lacks`;
    return refused('Ahead', 'Ahead', message, transactions);
  }
  return hiddenAtFirstSight(memory, replica, holder, target);
}

function hiddenState(target: ServerLook): GtidState {
  return target.logSlaveUpdates ? new Map() : stateOfPosition(target.gtidSlavePos);
}

/**
 * What an lsu=0 holder applied in an earlier life as a standby is older than its own history and came before the replica
 * was seeded or moved; what it applied later is hidden from the replica for ever, also when the position has passed it.
 */
function hiddenAtFirstSight(memory: Memory, replica: ReplicaFacts, holder: Holder, target: ServerLook): Refused | null {
  const now = beyond(hiddenState(target), replica.contains).filter((gtid) => {
    const here = replica.position.get(gtid.domain);
    return here === undefined || here.seq < gtid.seq;
  });
  const hidden = now.length > 0 ? now : seenHidden(replica, holder, memory);
  if (hidden.length === 0) return null;
  const gtids = hidden.map(formatGtid);
  const message = `${holder.member.name} applied ${gtids.join(', ')} from another server and does not log what it applies: ${replica.pod} cannot have it. Set log_slave_updates=1 on the members`;
  return refused('Unproven', 'HolderHidesPeerWrites', message, { count: null, gtids });
}

/** What it took in since the replica was seen first is not from before the replica was seeded, and no position shows it any more. */
function tookInMeanwhile({ memory }: Context, replica: ReplicaFacts, { member, look }: Holder): Decision | null {
  const { unread = null, tookIn = null } = memory.members.get(member.name) ?? {};
  const { knownSince } = replica.memory;
  if (knownSince === null || look?.logSlaveUpdates !== false) return null;
  if (unread !== null && knownSince <= unread.before.at && hasFile(look, unread.before.end.file))
    return notYet(replica, `reading what ${member.name} logged while nobody looked`);
  if (tookIn === null || knownSince >= tookIn.at || loggedBetween(replica, tookIn.between)) return null;
  const { verdict, reason, message, transactions } = tookInBetween(replica, member.name, tookIn.between);
  return decide(replica.pod, verdict, reason, message, { transactions });
}

function adopt(context: Context, replica: ReplicaFacts, holder: Holder, target: ServerLook): Decision {
  const proven: Proven = {
    kind: 'Proven',
    proof: 'SameServer',
    gtid: replica.position,
    at: replica.link.exec,
    contains: mergeStates(replica.contains, hiddenState(target)),
    because: `attached to ${holder.member.name} at ${formatPosition(replica.position)}, nothing of its history is missing`,
  };
  const to = linkTarget(context, replica, holder);
  if (isAsWanted(context, replica, to)) {
    return decide(replica.pod, 'Following', 'Following', proven.because, { proven });
  }
  const plan = planAdopt(
    {
      pod: replica.pod,
      from: holder.member.name,
      trigger: 'Adoption',
      proven,
      target: to,
      positioning: context.policy.positioning,
      received: replica.received,
    },
    replica.link,
  );
  return decide(replica.pod, 'Unproven', 'NotAdopted', `being adopted: ${proven.because}`, { plan });
}

/** The link already is what mxr would write: adopting it changes nothing. */
function isAsWanted(context: Context, replica: ReplicaFacts, to: { host: string; port: number }): boolean {
  const { link } = replica;
  const mode = (link.usingGtid === 'Slave_Pos') === (context.policy.positioning === 'GTID');
  return mode && sameDial(link, to);
}
