import type { GtidState } from './gtid.ts';
import { beyond, formatPosition, isWithin, ofServer, stateHas, stateOf, stateOfPosition } from './gtid.ts';
import { binlogStateOf, standbyLinkOf } from './memory.ts';
import { ER_EQUAL_IDS, hasFile } from './observation.ts';
import { proveContained } from './contained.ts';
import type { Asking, ProofInput, ProofResult, Refused } from './proof.ts';
import { asking, haveEqualIds, lacking, lookAgain, proveContent, refused } from './proof.ts';
import { passedErrant } from './errant.ts';
import { hiddenInBetween, hiddenWrites } from './hidden.ts';
import { proveSameServer } from './same-server.ts';
import { endedElsewhere, receivedBefore } from './restart.ts';
import { pointedByHand, strayedByFile } from './stray.ts';
import { proveTakeover } from './takeover.ts';
import { writtenAsStandby } from './own-history.ts';

export function prove(input: ProofInput): ProofResult {
  const lost = lostTail(input) ?? otherHistory(input);
  if (lost !== null) return lost;
  // On shared storage another member goes on with the history that the replica was proven on.
  const same = input.baseline.lineage === input.targetMemory.lineage;
  const unread = same ? hiddenNotReadYet(input) : null;
  if (unread !== null) return unread;
  if (same && !input.strayed) return proveSameServer(input);
  if (same && !input.target.logSlaveUpdates) return proveStrayed(input);
  const unfed = refusesItsPeer(input);
  if (unfed !== null) return unfed;
  const strayed = pointedByHand(input) ?? strayedByFile(input);
  if (strayed !== null) return strayed;
  if (input.target.logSlaveUpdates) return proveContained(input);
  const result = lookedAtBefore(input) ?? proveWithoutLog(input);
  if (result.kind !== 'Proven') return result;
  return hiddenNotReadYet(input) ?? hiddenInBetween(input) ?? passedErrant(input) ?? result;
}

function proveWithoutLog(input: ProofInput): ProofResult {
  if (!standsInItsBinlog(input)) return proveFromStandby(input);
  return haveEqualIds(input) ? proveUnderOneId(input) : proveOwnHistory(input);
}

/**
 * What it logged while nobody looked shows whether it took in anything meanwhile that it hides (`readUnread`): before the
 * replica is proven anew there, for that would be forgotten then.
 */
function hiddenNotReadYet({ holder, target, targetMemory: { unread } }: ProofInput): Asking | null {
  if (unread === null || !hasFile(target, unread.before.end.file)) return null;
  return asking(`reading what ${holder.member.name} logged while nobody looked`);
}

/** Under the id of its source a server replicates nothing, unless replicate_same_server_id is set: its link says so. */
function refusesItsPeer(input: ProofInput): Refused | null {
  const { replica, holder, target } = input;
  if (!haveEqualIds(input) || standbyLinkOf(target)?.ioErrno !== ER_EQUAL_IDS) return null;
  const { name } = holder.member;
  const message = `${name} has the server_id of the server that it is to replicate from (${target.identity.serverId}) and refuses to (error ${ER_EQUAL_IDS}): it misses what that one wrote, and numbers under one id prove nothing. Let the old primary have the VIP again, where ${replica.pod} goes on; give ${name} a server_id of its own, restart it and build it anew`;
  return refused('Unproven', 'NotComparable', message);
}

/** Where it took over is what was seen of it then: a replica that has all that it shows now is not proven to be behind it. */
function proveFromStandby(input: ProofInput): ProofResult {
  const { replica, holder, target } = input;
  const result = proveTakeover(input);
  if (result.kind !== 'Refused' || result.verdict !== 'Behind') return result;
  if (!isWithin(stateOfPosition(target.gtidSlavePos), replica.contains)) return result;
  const [{ name }, { pod }] = [holder.member, replica];
  const message = `${name} was seen to have applied more than ${pod} before it took over, and shows ${formatPosition(target.gtidSlavePos) || 'nothing'} now, which ${pod} has: the data of ${name} may be older than what was seen, or the position of ${pod} wrong. Compare both with the old primary, then reseed ${pod} from ${name}`;
  return refused('Unproven', 'WitnessesDisagree', message);
}

function proveOwnHistory(input: ProofInput): ProofResult {
  return hiddenWrites(input) ?? writtenAsStandby(input) ?? proveContained(input);
}

/** Under one server id a number in the target's binlog does not say who wrote it: only the content tells. */
function proveUnderOneId(input: ProofInput): ProofResult {
  const takeover = proveFromStandby(input);
  if (takeover.kind !== 'Refused') return takeover;
  const content = proveContent(input);
  if (content === null) return proveOwnHistory(input);
  return content.kind === 'Asking' || content.verdict === 'Diverged' ? content : takeover;
}

/** Without log_slave_updates there, what it took of others is hidden; the rest is this server's own, compared by content. */
function proveStrayed(input: ProofInput): ProofResult {
  const result = proveSameServer(input);
  return result.kind === 'Proven' ? (proveContent(input) ?? result) : result;
}

/**
 * Without log_slave_updates there the replica may already have transactions of the target's own: it got them through the
 * old holder, which became its standby and logs what it applies. Then it stands in the target's binlog like any other.
 */
function standsInItsBinlog({ replica, target }: ProofInput): boolean {
  const own = ofServer(replica.position.values(), target.identity.serverId);
  return own.length > 0 && isWithin(stateOfPosition(replica.position), binlogStateOf(target));
}

/** What it has of the target's own, and the last look at the target lacks, the target wrote since: that look says nothing. */
function lookedAtBefore(input: ProofInput): Asking | null {
  const { replica, target } = input;
  const own = ofServer(replica.position.values(), target.identity.serverId);
  if (beyond(stateOf(own), binlogStateOf(target)).length === 0) return null;
  return lookAgain(input, `because ${replica.pod} has transactions that it wrote since`);
}

/**
 * A lost tail concerns every replica of the pair, whatever it followed since: rows may have stayed in the engine that no
 * binlog has, and the numbers of what was lost are given again.
 */
function lostTail(input: ProofInput): Refused | null {
  const { replica, baseline, target, targetMemory } = input;
  if (baseline.lineage === targetMemory.lineage) return null;
  if (targetMemory.broken?.reason !== 'LostTail') return null;
  // Measured by what survived: the numbers that were lost are given out again.
  const state = targetMemory.broken.survived ?? targetMemory.restart?.survived ?? binlogStateOf(target);
  const own = target.identity.serverId;
  // What others wrote it can have got again from them: only its own numbers are given out again.
  const aheadOf = (has: GtidState) =>
    beyond(has, state).filter((gtid) => gtid.serverId === own || !stateHas(binlogStateOf(target), gtid));
  const { restart } = targetMemory;
  const ahead = aheadOf(replica.received);
  // What it got after it had connected again may be what was given these numbers then.
  const isElsewhere = baseline.member !== targetMemory.name || endedElsewhere(replica.link, targetMemory);
  const isSure = restart === null || isElsewhere || aheadOf(receivedBefore(replica, targetMemory, restart)).length > 0;
  const message = `${targetMemory.broken.message}. Compare the data, then reseed ${replica.pod}; set sync_binlog=1 on the members`;
  const transactions = ahead.length > 0 ? lacking(ahead, state) : null;
  return refused(isSure && transactions !== null ? 'Ahead' : 'Unproven', 'LostTail', message, transactions);
}

/** On shared storage, where nothing says that the history went on: its numbers may have been given to other transactions. */
function otherHistory({ replica, baseline, targetMemory }: ProofInput): Refused | null {
  const { broken, storage, lineage } = targetMemory;
  if (baseline.lineage === lineage || storage === null || broken?.reason !== 'LineageChanged') return null;
  const cure = `then reseed ${replica.pod}, or compare its data and configure its link again (it is adopted anew)`;
  return refused('Unproven', 'LineageChanged', `${broken.message}; ${cure}`);
}
