import type { Clock } from '../clock.ts';
import { backoffMs } from '../backoff.ts';
import type { Extracted } from '../sql/binlog/extract.ts';
import type { FileSink } from './file-sink.ts';
import type { Manifest } from './manifest.ts';
import type { Place, Subject } from './save.ts';
import { findSaved, salvageFailure, save } from './save.ts';

export interface SalvageWanted {
  readonly subject: Subject;
  readonly extract: (sink: FileSink) => Promise<Extracted>;
}

export type SalvageState =
  | { readonly kind: 'Saved'; readonly manifest: Manifest }
  | { readonly kind: 'Failed'; readonly message: string }
  | { readonly kind: 'Pending' };

/**
 * Saves what only one replica has, one set at a time in the whole process, beside all passes: no verdict waits for it,
 * and nothing is changed by its failure but what is told.
 */
export interface Salvager {
  /** Of one resource, all that is to be saved now; `done` is called when something was, or could not be. */
  want(key: string, wanted: readonly SalvageWanted[], done: () => void): void;
  /** Null: nothing of it is wanted. */
  of(key: string, pod: string): SalvageState | null;
}

export interface SalvagerOptions {
  readonly place: Place;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly onError: (fields: Readonly<Record<string, unknown>>) => void;
}

interface Entry {
  readonly set: string;
  state: SalvageState;
  failures: number;
  /** Monotonic ms before which it is not tried again. */
  notBefore: number;
  queued: boolean;
}

const PAUSE = { baseMs: 5_000, maxMs: 300_000 };

export function createSalvager(options: SalvagerOptions): Salvager {
  const { place, clock, signal } = options;
  const entries = new Map<string, Map<string, Entry>>();
  let last: Promise<void> = Promise.resolve();
  return { want, of };

  function want(key: string, wanted: readonly SalvageWanted[], done: () => void): void {
    const before = entries.get(key) ?? new Map<string, Entry>();
    const now = new Map(wanted.map(({ subject }) => [subject.pod, entryOf(before.get(subject.pod), subject.set)]));
    if (now.size === 0) entries.delete(key);
    else entries.set(key, now);
    for (const one of wanted) {
      const entry = now.get(one.subject.pod);
      if (entry === undefined || entry.queued || entry.state.kind === 'Saved') continue;
      if (clock.monotonicMs() < entry.notBefore) continue;
      entry.queued = true;
      last = last.then(async () => run(key, one, entry, done));
    }
  }

  async function run(key: string, { subject, extract }: SalvageWanted, entry: Entry, done: () => void): Promise<void> {
    const stillWanted = entries.get(key)?.get(subject.pod) === entry;
    try {
      if (stillWanted && !signal.aborted) entry.state = { kind: 'Saved', manifest: await saved(subject, extract) };
    } catch (error) {
      const message = salvageFailure(error, place);
      entry.state = { kind: 'Failed', message };
      entry.failures += 1;
      entry.notBefore = clock.monotonicMs() + backoffMs(entry.failures, PAUSE, options.random);
      options.onError({ resource: key, pod: subject.pod, why: message });
    }
    entry.queued = false;
    done();
  }

  async function saved(subject: Subject, extract: SalvageWanted['extract']): Promise<Manifest> {
    const before = await findSaved(place, subject);
    return before ?? save(place, { subject, extract, wallMs: () => clock.wallMs(), signal });
  }

  function of(key: string, pod: string): SalvageState | null {
    return entries.get(key)?.get(pod)?.state ?? null;
  }
}

/** Of a set that has grown, what was saved before is no longer all. */
function entryOf(before: Entry | undefined, set: string): Entry {
  if (before?.set === set) return before;
  return { set, state: { kind: 'Pending' }, failures: 0, notBefore: 0, queued: false };
}
