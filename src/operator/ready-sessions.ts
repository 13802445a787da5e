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
  /** The one of this pod, also one that is just being opened, if it is one to this target; it is the caller's then. */
  take(pod: string, target: SqlTarget): Promise<SqlSession | null>;
}

interface Ready {
  readonly target: SqlTarget;
  readonly at: number;
  readonly over: AbortController;
  /** Null: it could not be opened. */
  readonly opened: Promise<SqlSession | null>;
  isDead: boolean;
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
      if (!kept.has(pod)) kept.set(pod, open(target));
    }
  }

  /** Not tried again before it would be too old: what is wrong is what the looks and the execution tell. */
  function open(target: SqlTarget): Ready {
    const over = new AbortController();
    const how = { deadlineMs: deadlineMs(), signal: AbortSignal.any([over.signal, signal]) };
    const opened = connect(target, how).catch(() => null);
    const ready: Ready = { target, at: clock.monotonicMs(), over, opened, isDead: false };
    void opened.then((session) => {
      session?.onDead(() => (ready.isDead = true));
      if (over.signal.aborted) session?.destroy();
    });
    return ready;
  }

  async function take(pod: string, target: SqlTarget): Promise<SqlSession | null> {
    const ready = kept.get(pod);
    if (ready === undefined) return null;
    if (!isUsable(ready, target)) {
      drop(pod, ready);
      return null;
    }
    kept.delete(pod);
    const session = await ready.opened;
    return session?.alive === true ? session : null;
  }

  function isUsable({ target, at, isDead }: Ready, wanted: SqlTarget | undefined): boolean {
    return !isDead && clock.monotonicMs() - at < MAX_AGE_MS && isDeepStrictEqual(target, wanted);
  }

  function drop(pod: string, { over, opened }: Ready): void {
    kept.delete(pod);
    over.abort();
    void opened.then((session) => session?.destroy());
  }
}
