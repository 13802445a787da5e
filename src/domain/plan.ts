import type { Step, Trigger } from '../api/reasons.ts';
import type { GtidPosition, GtidState } from './gtid.ts';
import { formatPosition } from './gtid.ts';
import type { Coordinates } from './observation.ts';
import type { Proven } from './proof.ts';

/** What CHANGE MASTER points a replica at. */
export interface LinkTarget {
  readonly member: string;
  /** An IP address. */
  readonly host: string;
  readonly port: number;
  readonly through: 'Member' | 'VIP';
}

/** Where a link points. */
export interface Dial {
  readonly host: string;
  readonly port: number;
}

export function sameDial(a: Dial, b: Dial): boolean {
  return a.host === b.host && a.port === b.port;
}

/**
 * Who does not hold the VIP and has what the holder cannot give: the old member, another replica, or the binlog files that a
 * dead member left behind, which mxr itself hands out.
 */
export type Donor =
  | { readonly kind: 'Member'; readonly member: string }
  | { readonly kind: 'Sibling'; readonly pod: string }
  | { readonly kind: 'Files'; readonly member: string };

/** What a replica lacks is fetched from here, and not a transaction more. */
export interface Fill {
  readonly donor: Donor;
  readonly dial: Dial;
  /** Wall clock ms: the life of the donor in which it was seen to have it. */
  readonly startedAt: number;
  /** The place where the target took over, in the domains that the replica lacks something of. */
  readonly upTo: GtidPosition;
  /** Where the replica stood before it was filled. */
  readonly from: GtidPosition;
}

export function donorName(donor: Donor): string {
  switch (donor.kind) {
    case 'Member':
      return donor.member;
    case 'Sibling':
      return `replica ${donor.pod}`;
    case 'Files':
      return `the binlog files of ${donor.member}`;
    default:
      return donor satisfies never;
  }
}

/** How a replica asks for its position after CHANGE. */
export type Attach =
  | { readonly by: 'Gtid'; readonly gtid: GtidPosition }
  | { readonly by: 'File'; readonly at: Coordinates; readonly gtid: GtidPosition };

/**
 * `Between`: the replica's position is no less than `from` and no more than `upTo` (equal where everything received was
 * applied; a lagging replica moves within what the target is proven to have).
 * `OnHolder`: wherever the replica stopped, the holder itself says that its coordinates are that GTID (adoption).
 */
export type Expectation =
  { readonly kind: 'Between'; readonly from: GtidPosition; readonly upTo: GtidState } | { readonly kind: 'OnHolder' };

export type StepValue =
  /** `dials`: only a link that points there, for nothing was proven of another. */
  | { readonly step: 'StopReceiving'; readonly dials?: Dial }
  | { readonly step: 'Capture' }
  | { readonly step: 'Drain' }
  /** Live values once more, before and after Stop: what was proven must still be so. */
  | { readonly step: 'Prove'; readonly expect: Expectation }
  | { readonly step: 'Stop' }
  | { readonly step: 'Change'; readonly target: LinkTarget; readonly attach: Attach }
  /** `Again`: both, as they were before; nothing else of the replica is set. */
  | { readonly step: 'Start'; readonly threads: 'Both' | 'Sql' | 'Again'; readonly until?: GtidPosition }
  | { readonly step: 'VerifyAttached'; readonly target: LinkTarget; readonly until?: GtidPosition };

/** One replica's plan: a list of steps as values. The executor runs one, re-checks the fence, verifies, goes on or stops. */
export interface Plan {
  readonly pod: string;
  readonly kind: 'StopReceiving' | 'Apply' | 'Adopt' | 'Restore' | 'Move' | 'Fill' | 'Resume' | 'Relink';
  readonly trigger: Trigger | null;
  readonly steps: readonly StepValue[];
  /** Null for StopReceiving and Apply: nothing new arrives by them. */
  readonly proven: Proven | null;
  /** The member that the replica is to follow in the end; of a fill its link dials the donor first. */
  readonly target: LinkTarget | null;
  /** The member that the replica followed before. */
  readonly from: string | null;
  readonly fill?: Fill;
}

export function planStopReceiving(pod: string, from: string | null): Plan {
  const steps: StepValue[] = [{ step: 'StopReceiving' }, { step: 'Capture' }];
  return { pod, kind: 'StopReceiving', trigger: null, steps, proven: null, target: null, from };
}

/** By file, a stopped SQL thread goes on in its relay log where it stopped; by GTID a start would delete the relay log. */
export function planApply(pod: string, from: string | null): Plan {
  const steps: StepValue[] = [{ step: 'Start', threads: 'Sql' }];
  return { pod, kind: 'Apply', trigger: null, steps, proven: null, target: null, from };
}

/** Whether a plan makes a replica receive from somewhere: then it needs a target, a proof and an intent. */
export function isAttaching(plan: Plan): boolean {
  return plan.kind !== 'StopReceiving' && plan.kind !== 'Apply';
}

/** What leads a replica to another server; a fill is on the way there. */
export function isMoving({ kind }: Plan): boolean {
  return kind === 'Move' || kind === 'Fill';
}

interface MoveParts {
  readonly pod: string;
  readonly from: string | null;
  readonly trigger: Trigger;
  readonly proven: Proven;
  readonly target: LinkTarget;
  readonly positioning: 'GTID' | 'FilePosition';
  /** Everything received: what the position may still grow to before Stop. */
  readonly received: GtidState;
}

export function planMove(parts: MoveParts): Plan {
  const { pod, from, trigger, proven, target } = parts;
  const steps: StepValue[] = [
    { step: 'Capture' },
    { step: 'Prove', expect: { kind: 'Between', from: proven.gtid, upTo: parts.received } },
    { step: 'Stop' },
    { step: 'Change', target, attach: attachOf(proven, parts.positioning) },
    { step: 'Start', threads: 'Both' },
    { step: 'VerifyAttached', target },
  ];
  return { pod, kind: 'Move', trigger, steps, proven, target, from };
}

/** By GTID only, and never without UNTIL: a donor may have more than the target ever had. */
export function planFill(parts: Omit<MoveParts, 'positioning'>, fill: Fill): Plan {
  const { pod, from, trigger, proven, target } = parts;
  const there: LinkTarget = { ...target, ...fill.dial, through: 'Member' };
  const steps: StepValue[] = [
    { step: 'Capture' },
    { step: 'Prove', expect: { kind: 'Between', from: proven.gtid, upTo: parts.received } },
    { step: 'Stop' },
    { step: 'Change', target: there, attach: { by: 'Gtid', gtid: proven.gtid } },
    { step: 'Start', threads: 'Both', until: fill.upTo },
    { step: 'VerifyAttached', target: there, until: fill.upTo },
  ];
  return { pod, kind: 'Fill', trigger, steps, proven, target, from, fill };
}

/** Adoption rewrites the link at the same place, so it first lets everything received be applied. */
export function planAdopt(parts: MoveParts, { host, port }: Dial): Plan {
  const move = planMove(parts);
  const steps = move.steps.map((step) =>
    step.step === 'Prove' ? ({ step: 'Prove', expect: { kind: 'OnHolder' } } as const) : step,
  );
  return {
    ...move,
    kind: 'Adopt',
    steps: [{ step: 'StopReceiving', dials: { host, port } }, { step: 'Drain' }, ...steps],
  };
}

/** The same place of the same server, the link written anew; `runs`: what it dials, where it still receives. */
export function planRelink(parts: MoveParts, runs: Dial | null): Plan {
  return { ...(runs === null ? planMove(parts) : planAdopt(parts, runs)), kind: 'Relink' };
}

/** Undoes what an adoption stopped: the link that it found goes on, and nothing is proven of it. */
export function planRestore(parts: Pick<MoveParts, 'pod' | 'proven' | 'target' | 'received'>): Plan {
  const { pod, proven, target, received } = parts;
  const steps: StepValue[] = [
    { step: 'Prove', expect: { kind: 'Between', from: proven.gtid, upTo: received } },
    { step: 'Start', threads: 'Again' },
    { step: 'VerifyAttached', target },
  ];
  return { pod, kind: 'Restore', trigger: 'Adoption', steps, proven, target, from: target.member };
}

/** `START SLAVE` starts what stands and leaves what runs: it cannot be overtaken by a restart that stopped the other thread. */
export function planResume(parts: Omit<MoveParts, 'positioning'>): Plan {
  const { pod, from, trigger, proven, target, received } = parts;
  const steps: StepValue[] = [
    { step: 'Prove', expect: { kind: 'Between', from: proven.gtid, upTo: received } },
    { step: 'Start', threads: 'Both' },
    { step: 'VerifyAttached', target },
  ];
  return { pod, kind: 'Resume', trigger, steps, proven, target, from };
}

function attachOf(proven: Proven, positioning: 'GTID' | 'FilePosition'): Attach {
  if (positioning === 'GTID' || proven.at === null) return { by: 'Gtid', gtid: proven.gtid };
  return { by: 'File', at: proven.at, gtid: proven.gtid };
}

/** The steps that issue a statement which changes something on the replica. */
export const ACTING_STEPS: readonly Step[] = ['StopReceiving', 'Stop', 'Change', 'Start'];

/**
 * Names a handover for approvals: it changes when the holder's incarnation or any replica's position changes, so nobody
 * approves something else than what was shown.
 */
export function handoverId(
  target: { readonly member: string; readonly startedAt: number | undefined },
  plans: readonly Plan[],
): string {
  const text = [
    target.member,
    Math.round((target.startedAt ?? 0) / 60_000),
    ...plans.map((plan) => `${plan.pod}@${plan.proven === null ? '' : formatPosition(plan.proven.gtid)}`).sort(),
  ].join('|');
  return `${target.member}-${shortHash(text)}`;
}

/** FNV-1a, for people to copy; not a secret. */
export function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}
