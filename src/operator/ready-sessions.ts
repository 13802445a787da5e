import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import type { SqlConnect, SqlSession, SqlTarget } from '../sql/port.ts';

export interface ReadySessionsOptions {
  readonly connect: SqlConnect;
  readonly clock: Clock;
  readonly deadlineMs: () => number;
  readonly signal: AbortSignal;
}

/**
 * Sessions to replicas that are about to be moved, logged in ahead: when the new holder is ready, a move does not wait for
 * that any more. They hold no lock and nothing is asked on them before an execution takes one; it fences and bounds it like
 * one that it opened itself.
 */
export interface ReadySessions {
  /** Opens what is missing, and closes those that are not wanted any more. */
  want(targets: ReadonlyMap<string, SqlTarget>): void;
  /** The one of this pod, if it is there and is one to this target; it is the caller's then. */
  take(pod: string, target: SqlTarget): SqlSession | null;
}

interface Ready {
  readonly target: SqlTarget;
  readonly at: number;
  readonly over: AbortController;
  session: SqlSession | null;
}

/** An older one may have been cut on the way without a word, and would cost more than it saves. */
const MAX_AGE_MS = 10_000;

export function createReadySessions(options: ReadySessionsOptions): ReadySessions {
  const { connect, clock, deadlineMs, signal } = options;
  const kept = new Map<string, Ready>();
  return { want, take };

  function want(targets: ReadonlyMap<string, SqlTarget>): void {
    for (const [pod, ready] of kept) {
      if (!isUsable(ready, targets.get(pod))) drop(pod, ready);
    }
    for (const [pod, target] of targets) {
      if (!kept.has(pod)) void open(pod, target);
    }
  }

  async function open(pod: string, target: SqlTarget): Promise<void> {
    const ready: Ready = { target, at: clock.monotonicMs(), over: new AbortController(), session: null };
    kept.set(pod, ready);
    try {
      const how = { deadlineMs: deadlineMs(), signal: AbortSignal.any([ready.over.signal, signal]) };
      const session = await connect(target, how);
      if (kept.get(pod) === ready) ready.session = session;
      else session.destroy();
    } catch {
      // Not tried again before it would be too old: what is wrong with it is what the looks and the execution tell.
    }
  }

  function take(pod: string, target: SqlTarget): SqlSession | null {
    const ready = kept.get(pod);
    if (ready === undefined) return null;
    kept.delete(pod);
    if (isUsable(ready, target) && ready.session?.alive === true) return ready.session;
    close(ready);
    return null;
  }

  function isUsable({ target, at, session }: Ready, wanted: SqlTarget | undefined): boolean {
    if (clock.monotonicMs() - at >= MAX_AGE_MS || session?.alive === false) return false;
    return isDeepStrictEqual(target, wanted);
  }

  function drop(pod: string, ready: Ready): void {
    kept.delete(pod);
    close(ready);
  }

  function close({ over, session }: Ready): void {
    over.abort();
    session?.destroy();
  }
}
