import { setTimeout as delay } from 'node:timers/promises';
import { NAMESPACE } from '../e2e/support/stage.ts';
import type { Stage } from '../e2e/support/stage.ts';
import type { Verdict } from '../../src/api/reasons.ts';
import { monotonicMs } from '../support/monotonic.ts';
import type { Field } from './field.ts';
import type { Told } from './truth.ts';

/** Nothing more happens to a replica under one of these unless something happens to it. */
const AT_REST: readonly Verdict[] = [
  'Following',
  'Diverged',
  'Ahead',
  'ApplierFailed',
  'Purged',
  'Behind',
  'Unproven',
  'Frozen',
  'LocalConflict',
];
const READY_FOR_MS = 1_500;
/** Before the last transactions are written, which decide. */
const READY_AT_FIRST_MS = 500;
/** A refusal may still become a proof: looks, positions and witnesses come in turn. */
const REFUSED_FOR_MS = 4_000;
const INTERVAL_MS = 200;
const APPROVAL = /mxr\.dev\/approve=(\S+)/;

/** What mxr says of each replica now. */
export async function askOf(stage: Stage): Promise<Told[]> {
  const { replicas } = await stage.status();
  const labelled = await stage.api.list<{ metadata: { name: string } }>(
    { api: 'v1', plural: 'pods', namespace: NAMESPACE },
    'mxr.dev/serving=true',
  );
  const names = labelled.map(({ metadata }) => metadata.name);
  return replicas.map(({ pod, verdict, reason, message, ready, attachedTo }) => {
    return { pod, verdict, reason, message, ready, attachedTo, labelled: names.includes(pod) };
  });
}

/**
 * Resolves when what is said of every replica has stood for a while, or at the deadline. A person approves what is asked
 * for, if this run has one. What stood `before` for long enough need not again.
 */
export async function comesToRest(
  field: Field,
  approves: boolean,
  deadlineAt: number,
  before: readonly Told[] | null = null,
): Promise<readonly Told[]> {
  let last: readonly Told[] = [];
  let since = monotonicMs();
  for (;;) {
    const told = await askOf(field.stage).catch(() => []);
    if (textOf(told) !== textOf(last)) {
      since = monotonicMs();
      field.note(`told: ${textOf(told)}`);
      remember(field.past.said, told);
    }
    last = told;
    if (approves) await approve(field, told);
    const stood = monotonicMs() - since;
    const settled =
      told.length === field.bench.replicas.length && told.every(({ verdict }) => AT_REST.includes(verdict));
    if ((settled && stood >= neededMs(told, before)) || monotonicMs() >= deadlineAt) return told;
    await delay(INTERVAL_MS);
  }
}

function neededMs(told: readonly Told[], before: readonly Told[] | null): number {
  if (before === null && told.every(({ ready }) => ready)) return READY_AT_FIRST_MS;
  const isShort = told.every(({ ready }) => ready) || textOf(told) === textOf(before ?? []);
  return isShort ? READY_FOR_MS : REFUSED_FOR_MS;
}

/** What was said of each replica since everything was healed, one after the other. */
export type Said = Map<string, string[]>;

export function remember(said: Said, told: readonly Told[]): void {
  for (const { pod, verdict, reason, labelled } of told) {
    const before = said.get(pod) ?? [];
    const text = `${verdict}/${reason}${labelled ? '' : ' out'}`;
    if (before.at(-1) !== text) said.set(pod, [...before, text]);
  }
}

/** How often a recovery may come back to what was said before: by a look that came late, or a race that was lost. */
const MOST_RETURNS = 4;

/** Whether mxr changes its mind about a replica for ever, although nothing happens to it any more. */
export function isRestless(said: readonly string[] = []): boolean {
  return said.length - new Set(said).size > MOST_RETURNS;
}

export function textOf(told: readonly Told[]): string {
  return told
    .map(({ pod, verdict, reason, labelled }) => `${pod} ${verdict}/${reason}${labelled ? '' : ' out'}`)
    .join(', ');
}

async function approve(field: Field, told: readonly Told[]): Promise<void> {
  const [id] = told.flatMap(({ verdict, message }) =>
    verdict === 'Frozen' ? (APPROVAL.exec(message)?.[1] ?? []) : [],
  );
  if (id === undefined || field.past.approved) return;
  field.note(`a person approves ${id}`);
  field.past.approved = true;
  await field.stage.annotate({ 'mxr.dev/approve': id });
}
