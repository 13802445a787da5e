import type { Context } from './context.ts';
import { baselineMember, linkTarget } from './context.ts';
import type { Gap, Offer } from './donor.ts';
import { donorAt, offers } from './donor.ts';
import type { Question } from './evidence.ts';
import { formatGtid, formatPosition, sameGtid, seqIn, stateHas } from './gtid.ts';
import type { Holder } from './holder.ts';
import type { Intended } from './intent.ts';
import { isLifeOf } from './intent.ts';
import { START_TIME_TOLERANCE_MS, stateOfServer } from './memory.ts';
import type { Fill } from './plan.ts';
import { donorName, planFill, planStopReceiving, sameDial } from './plan.ts';
import type { ProofInput, Proven, Refused } from './proof.ts';
import { missingCount } from './proof.ts';
import type { ReplicaFacts } from './replica.ts';
import type { Decision } from './verdict.ts';
import { decide } from './verdict.ts';

/**
 * `policy.onGap: Fill`: the replica lacks what the new holder applied and never logged. Where somebody else provably has
 * it, it is fetched from there up to the takeover point, and the replica is then proven and moved like any other.
 */
export function fillGap(context: Context, holder: Holder, input: ProofInput, refusal: Refused): Decision {
  const { replica } = context;
  const { fillTo, message, transactions } = refusal;
  const behind = (text: string, extra: Partial<Decision>) =>
    decide(replica.pod, 'Behind', 'Behind', text, { transactions, ...extra });
  if (fillTo === undefined) return behind(message, {});
  if (!isPositionSure(replica)) {
    const why = `its link goes by file and position, and without a binlog of what it applied its GTID position is not sure`;
    return behind(`${message}. It is not filled: mxr fills by GTID, ${why}; set log_slave_updates=1 on it`, {});
  }
  const lacking = [...fillTo].filter(([domain, gtid]) => !sameGtid(replica.position.get(domain), gtid));
  if (lacking.length === 0) return behind(message, {});
  // By file and position what it had applied at its takeover is another server's word.
  const has = stateOfServer(input.target);
  const gone = lacking.filter(([, gtid]) => !stateHas(has, gtid)).map(([, gtid]) => formatGtid(gtid));
  if (gone.length > 0) {
    return behind(`${message}. It is not filled: ${holder.member.name} does not show ${gone.join(', ')} any more`, {});
  }
  const offer = firstOf({ context, input, upTo: new Map(lacking) });
  switch (offer.kind) {
    case 'Usable':
      return behind(`${message}. ${offer.because}: it is filled from there`, {
        plan: planOf(context, holder, input, offer),
      });
    case 'Asking':
      return decide(replica.pod, 'Filling', 'Filling', `${message}. Looking for a server that has what it lacks`, {
        transactions,
        questions: offer.questions,
      });
    case 'Unusable':
      return behind(`${message}. Nobody can fill it: ${offer.why}`, { questions: offer.questions });
    default:
      return offer satisfies never;
  }
}

/** By file a connect writes the place that was read there: then its own binlog must say the same. */
function isPositionSure({ link, look, position }: ReplicaFacts): boolean {
  if (link.usingGtid !== 'No') return true;
  const own = look.logSlaveUpdates ? look.gtidBinlogState : null;
  return own !== null && position.size > 0 && [...position.values()].every((gtid) => seqIn(own, gtid) === gtid.seq);
}

/** The first that can, or why each of them cannot. */
function firstOf(gap: Gap): Offer {
  const refused: string[] = [];
  const questions: Question[] = [];
  for (const offer of offers(gap)) {
    if (offer.kind !== 'Unusable') return offer;
    refused.push(offer.why);
    questions.push(...offer.questions);
  }
  return { kind: 'Unusable', why: refused.join('; '), questions };
}

function planOf(context: Context, holder: Holder, input: ProofInput, offer: Extract<Offer, { kind: 'Usable' }>) {
  const { replica } = context;
  const { pod, position, contains, received } = replica;
  const { because, fill } = offer;
  const proven: Proven = { kind: 'Proven', proof: 'Filled', gtid: position, at: null, contains, because };
  const target = linkTarget(context, replica, holder);
  const trigger = input.baseline.member === holder.member.name ? 'Resume' : 'VipMoved';
  return planFill({ pod, from: baselineMember(replica), trigger, proven, target, received }, fill);
}

/** The open fill of this replica, if its link dials the donor; null: it is not being filled. */
export function fillOf({ intended, replica }: Pick<Context, 'intended' | 'replica'>): Fill | null {
  const fill = intended.get(replica.pod)?.fill;
  return fill !== undefined && sameDial(replica.link, fill.dial) ? fill : null;
}

/** It receives from the donor, and its server ends that at the takeover point: nothing to do but to see that it stays so. */
export function isBeingFilled(context: Pick<Context, 'intended' | 'replica'>): boolean {
  const { io, until } = context.replica.link;
  return fillOf(context) !== null && io === 'Yes' && until !== undefined;
}

/** Whoever carries on, the process that began it or another: a fill under way is watched until it has ended by itself. */
export function filling(context: Context, holder: Holder): Decision | null {
  const { replica, intended } = context;
  const { pod, link, position } = replica;
  const fill = fillOf(context);
  const intent = intended.get(pod);
  if (fill === null || intent === undefined || link.io === 'No') return null;
  const why = mustEnd(context, holder, intent, fill);
  if (why !== null) {
    const message = `${why}: it is stopped, and proven where it stands`;
    return decide(pod, 'Filling', 'Filling', message, { plan: planStopReceiving(pod, baselineMember(replica)) });
  }
  const left = missingCount(fill.upTo, position);
  const message = `it gets what ${holder.member.name} cannot give it from ${donorName(fill.donor)} (${link.host}:${link.port}): from ${formatPosition(fill.from)} up to ${formatPosition(fill.upTo)}, where ${holder.member.name} took over; it stands at ${formatPosition(position)}${left === null ? '' : `, ${left} transactions to go`}`;
  return decide(pod, 'Filling', 'Filling', message);
}

function mustEnd(context: Context, holder: Holder, intent: Intended, fill: Fill): string | null {
  const { policy, observation, memory, replica } = context;
  const donor = donorName(fill.donor);
  // A restart of the replica's server forgets UNTIL: it would take in whatever the donor has.
  if (replica.link.until === undefined) return `its link to ${donor} runs without an end`;
  if (policy.onGap !== 'Fill') return 'policy.onGap is not Fill any more';
  if (intent.member !== holder.member.name || !isLifeOf(memory, intent))
    return `it was filled to follow ${intent.member}, and that is over`;
  if (replica.link.io !== 'Yes') return `its link to ${donor} broke (${replica.link.ioErrno} ${replica.link.ioError})`;
  const seen = donorAt(observation, fill.donor, policy);
  if (seen === null) return `${donor} is gone`;
  const startedAt = seen.look?.identity.startedAt ?? fill.startedAt;
  return Math.abs(startedAt - fill.startedAt) <= START_TIME_TOLERANCE_MS ? null : `${donor} restarted`;
}
