import { HANDOVER_FINALIZER } from '../api/names.ts';
import type { Status } from '../api/v1alpha1.ts';
import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import { isMxrError, MxrError } from '../errors.ts';
import type { Kube } from '../kube/client.ts';
import type { ObjectRef } from '../kube/objects.ts';

export interface StatusWriterOptions {
  readonly kube: Pick<Kube, 'getResource' | 'replaceStatus' | 'patchResourceMetadata'>;
  readonly ref: ObjectRef;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onError: (error: unknown) => void;
}

/**
 * Writes one resource's status: one write at a time, always the newest, so that a slow API server never delays a pass.
 * Whoever needs it stored before going on (the intent of a handover) waits for `flush`.
 */
export interface StatusWriter {
  /**
   * The status that is to be stored; replaces one that still waits. `midMove`: the VIP is where replicas are to go, and
   * writing it down can wait until they are there, unless it has news of an intent.
   */
  offer(status: Status, midMove?: boolean): void;
  /**
   * Resolves once the intent that was offered last is stored, be it by a write that was under way already; rejects when
   * it cannot be stored within the deadline.
   */
  flush(deadlineMs: number): Promise<void>;
  /**
   * For the end of the process, while it still leads: resolves when what was offered last is stored, or could not be by one
   * more write within the deadline.
   */
  end(deadlineMs: number): Promise<void>;
  /** The status that was stored last; null before the first. */
  stored(): Status | null;
}

interface Offered {
  readonly status: Status;
  readonly turn: number;
  /** Monotonic ms from which it is to be written. */
  readonly dueAt: number;
}

const RETRY_MS = 250;
const POLL_MS = 5;
/** Nobody reads it; without a reason each abort makes an error with a stack. */
const WAKE = 'wake';
/** Between two writes: in a handover much changes within milliseconds, and nobody reads so fast. */
const PAUSE_MS = 100;
/**
 * In the middle of a move a write takes processor time that the move needs, on small machines by tens of milliseconds. Not
 * at other times: what this process has seen of a standby, the next one can prove by only if it is stored.
 */
const MID_MOVE_MS = 250;

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { kube, ref, clock, signal, onError } = options;
  let turns = 0;
  let wanted: Offered | null = null;
  let storing: Offered | null = null;
  let stored: Offered | null = null;
  let version: { resourceVersion: string; finalizers: readonly string[] } | null = null;
  let writing: Promise<void> | null = null;
  let storedAt = Number.NEGATIVE_INFINITY;
  /** How many wait for what was offered last, and what ends the pause for them. */
  let waiting = 0;
  let pause = new AbortController();

  return { offer, flush, end, stored: () => stored?.status ?? null };

  function offer(status: Status, midMove = false): void {
    turns += 1;
    const canWait = midMove && !hasNews(status);
    const dueAt = clock.monotonicMs() + (canWait ? MID_MOVE_MS : 0);
    // What waits already is not put off by what comes after it.
    const isWaiting = wanted !== null && wanted !== storing;
    wanted = { status, turn: turns, dueAt: isWaiting ? Math.min(wanted?.dueAt ?? dueAt, dueAt) : dueAt };
    if (!canWait) pause.abort(WAKE);
    writing ??= write().finally(() => {
      writing = null;
    });
  }

  async function write(): Promise<void> {
    while (wanted !== null && !signal.aborted) {
      await settled();
      const mine = wanted;
      storing = mine;
      try {
        await store(mine.status, signal);
        stored = mine;
        storedAt = clock.monotonicMs();
        if (wanted === mine) wanted = null;
      } catch (error) {
        version = null;
        if (isMxrError(error, 'KubeNotFound')) {
          wanted = null;
          return;
        }
        if (!isMxrError(error, 'KubeConflict')) {
          onError(error);
          await sleep(RETRY_MS, signal);
        }
      }
    }
  }

  /** Resolves when the newest status is to be written: at once when somebody waits for it. */
  async function settled(): Promise<void> {
    for (;;) {
      if (wanted === null || waiting > 0 || signal.aborted) return;
      const left = Math.max(wanted.dueAt, storedAt + PAUSE_MS) - clock.monotonicMs();
      if (left <= 0) return;
      pause = new AbortController();
      await sleep(left, AbortSignal.any([pause.signal, signal]));
    }
  }

  /** A move that may begin before long would have to wait for its intent; and what has arrived is not to be moved again. */
  function hasNews({ intent }: Status): boolean {
    const there = new Set(stored?.status.intent?.replicas.map((one) => JSON.stringify(one)));
    return intent?.replicas.some((one) => !there.has(JSON.stringify(one))) ?? false;
  }

  /** The finalizer is there before the intent is, and goes after it: a resource cannot vanish in mid-handover. */
  async function store(status: Status, until: AbortSignal): Promise<void> {
    const how = { signal: until };
    version ??= versionOf(await kube.getResource(ref, how));
    if (status.intent !== undefined) await setFinalizer(true, how);
    const resource = await kube.replaceStatus({ ...ref, resourceVersion: version.resourceVersion }, status, how);
    version = versionOf(resource);
    if (status.intent === undefined) await setFinalizer(false, how);
  }

  async function setFinalizer(wantedThere: boolean, how: { readonly signal: AbortSignal }): Promise<void> {
    if (version === null || version.finalizers.includes(HANDOVER_FINALIZER) === wantedThere) return;
    const others = version.finalizers.filter((one) => one !== HANDOVER_FINALIZER);
    const finalizers = wantedThere ? [...others, HANDOVER_FINALIZER] : others;
    const patched = await kube.patchResourceMetadata(
      ref,
      { finalizers, resourceVersion: version.resourceVersion },
      how,
    );
    version = versionOf(patched);
  }

  async function flush(deadlineMs: number): Promise<void> {
    const mine = turns;
    const intent = intentText(wanted ?? stored);
    const end = clock.monotonicMs() + deadlineMs;
    // An older status that is still on its way may not take it back.
    const isThere = (): boolean => stored !== null && intentText(stored) === intent && intentText(storing) === intent;
    waiting += 1;
    pause.abort(WAKE);
    try {
      while ((stored?.turn ?? 0) < mine && !isThere()) {
        const left = end - clock.monotonicMs();
        if (left <= 0 || signal.aborted || writing === null) throw notStored(deadlineMs);
        await Promise.race([writing, sleep(Math.min(left, POLL_MS), signal)]);
      }
    } finally {
      waiting -= 1;
    }
  }

  async function end(deadlineMs: number): Promise<void> {
    await writing;
    if (wanted === null) return;
    try {
      await store(wanted.status, AbortSignal.timeout(deadlineMs));
      wanted = null;
    } catch (error) {
      onError(error);
    }
  }

  function notStored(deadlineMs: number): MxrError {
    const target = `${ref.namespace}/${ref.name}`;
    const detail = `not stored within ${deadlineMs} ms`;
    return new MxrError({ code: 'KubeUnavailable', operation: 'store the intent', target, detail, retryable: true });
  }
}

/** What of an intent a statement rests on. */
function intentText(offered: Offered | null): string {
  const intent = offered?.status.intent;
  return JSON.stringify([intent?.id, intent?.replicas]);
}

function versionOf(resource: { metadata: { resourceVersion: string; finalizers: readonly string[] } }) {
  return { resourceVersion: resource.metadata.resourceVersion, finalizers: resource.metadata.finalizers };
}
