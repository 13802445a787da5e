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
/** A refusal may still become a proof: looks, positions and witnesses come in turn. */
const REFUSED_FOR_MS = 7_000;
const INTERVAL_MS = 300;
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
  before: readonly Told[] = [],
): Promise<readonly Told[]> {
  let last: readonly Told[] = [];
  let since = monotonicMs();
  for (;;) {
    const told = await askOf(field.stage).catch(() => []);
    if (textOf(told) !== textOf(last)) {
      since = monotonicMs();
      field.note(`told: ${textOf(told)}`);
      field.past.changes += 1;
    }
    last = told;
    if (approves) await approve(field, told);
    const stood = monotonicMs() - since;
    const settled =
      told.length === field.bench.replicas.length && told.every(({ verdict }) => AT_REST.includes(verdict));
    const isShort = told.every(({ ready }) => ready) || textOf(told) === textOf(before);
    const needed = isShort ? READY_FOR_MS : REFUSED_FOR_MS;
    if ((settled && stood >= needed) || monotonicMs() >= deadlineAt) return told;
    await delay(INTERVAL_MS);
  }
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
