import type { Clock } from '../clock.ts';
import type { Fact, Unknown } from '../domain/fact.ts';
import { known, unknown } from '../domain/fact.ts';
import type { ServerLook } from '../domain/observation.ts';
import { errorText, isMxrError } from '../errors.ts';
import type { SqlConnect, SqlSession, SqlTarget } from '../sql/port.ts';
import type { Incarnation } from './incarnation.ts';
import { nextIncarnation } from './incarnation.ts';
import type { SessionLimits } from './look.ts';
import { lookAtServer, noLimits } from './look.ts';

export interface ServerProbeOptions {
  /** Read at each connect, so that new credentials need no new probe. */
  readonly target: () => SqlTarget;
  readonly connect: SqlConnect;
  readonly clock: Clock;
  /** Held by the kept session while it lives: the VIP session can then name this very server (facts/mariadb.md §11). */
  readonly lockName?: string;
}

export interface ProbeOptions {
  readonly deadlineMs: number;
  /** Ask for the binlog files; a new session always does. */
  readonly files: boolean;
}

/** Looks at one server over one kept session. */
export interface ServerProbe {
  /** Never throws and never overlaps: a call during another one waits for it, within its own deadline. */
  probe(options: ProbeOptions): Promise<Fact<ServerLook>>;
  /** Connection id of the session that holds the lock, while it lives. */
  lockHeldBy(): number | null;
  /** What the looks so far say about the lives of this server; null before the first answer. */
  incarnation(): Incarnation | null;
  /** Ends the session; the next probe opens another. */
  reset(): void;
  /** Ends the session for good. */
  close(): void;
}

/** One connected session and what is known about it. */
interface Kept {
  readonly session: SqlSession;
  readonly limits: SessionLimits;
  readonly hasLock: boolean;
  look: ServerLook | null;
}

export function createServerProbe(options: ServerProbeOptions): ServerProbe {
  const { clock } = options;
  const closing = new AbortController();
  let kept: Kept | null = null;
  let incarnation: Incarnation | null = null;
  let turn: Promise<unknown> = Promise.resolve();

  return { probe, lockHeldBy, incarnation: () => incarnation, reset, close };

  function probe(ask: ProbeOptions): Promise<Fact<ServerLook>> {
    const end = clock.monotonicMs() + ask.deadlineMs;
    const mine = turn.then(() => look(ask.files, end));
    turn = mine;
    return mine;
  }

  async function look(files: boolean, end: number): Promise<Fact<ServerLook>> {
    const at = clock.monotonicMs();
    try {
      const own = await session(end);
      const previousFiles = own.look?.files ?? [];
      const limit = { clock, deadlineMs: leftMs(end), signal: closing.signal };
      own.look = await lookAtServer(
        own.session,
        { ...limit, files: files || own.look === null, previousFiles },
        own.limits,
      );
      incarnation = nextIncarnation(incarnation, own.look, at);
      return known(own.look, at);
    } catch (error) {
      reset();
      return asUnknown(error, at);
    }
  }

  async function session(end: number): Promise<Kept> {
    if (kept?.session.alive === true) return kept;
    const opened = await options.connect(options.target(), { deadlineMs: leftMs(end), signal: closing.signal });
    try {
      kept = { session: opened, limits: noLimits(), hasLock: await takeLock(opened, end), look: null };
      return kept;
    } catch (error) {
      opened.destroy();
      throw error;
    }
  }

  async function takeLock(opened: SqlSession, end: number): Promise<boolean> {
    if (options.lockName === undefined) return false;
    const statement = { deadlineMs: leftMs(end), operation: 'take the nonce lock', signal: closing.signal };
    const rows = await opened.query('SELECT GET_LOCK(?, 0) AS taken', [options.lockName], statement);
    return rows[0]?.['taken'] === '1';
  }

  function leftMs(end: number): number {
    return Math.max(1, end - clock.monotonicMs());
  }

  function lockHeldBy(): number | null {
    return kept !== null && kept.hasLock && kept.session.alive ? kept.session.connectionId : null;
  }

  function reset(): void {
    kept?.session.destroy();
    kept = null;
  }

  function close(): void {
    closing.abort();
    reset();
  }
}

/** A failed look as a fact. Whatever else is thrown inside is a defect of ours, and is said to be one. */
export function asUnknown(error: unknown, at: number): Unknown {
  return isMxrError(error) ? unknown(error.code, error.message, at) : unknown('Bug', errorText(error), at);
}
