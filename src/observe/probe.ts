import type { Clock } from '../clock.ts';
import type { Fact } from '../domain/fact.ts';
import { known, NOT_ASKED_YET } from '../domain/fact.ts';
import type { ServerLook } from '../domain/observation.ts';
import type { SqlConnect, SqlSession, SqlTarget } from '../sql/port.ts';
import { asUnknown } from './failure.ts';
import type { Incarnation } from './incarnation.ts';
import { nextIncarnation } from './incarnation.ts';
import type { SessionFacts } from './asker.ts';
import { newSessionFacts } from './asker.ts';
import { lookAtServer } from './look.ts';

export interface ServerProbeOptions {
  /** Read at each connect, so that new credentials need no new probe. */
  readonly target: () => SqlTarget;
  readonly connect: SqlConnect;
  readonly clock: Clock;
  /** A number for each incarnation that is seen. */
  readonly newNumber: () => number;
  /**
   * Members only, held by the kept session while it lives: the VIP session can then name this very server
   * (facts/mariadb.md §11).
   */
  readonly lockName?: () => string;
  /** What is asked of it; by default a server with a lock is a member. */
  readonly of?: 'Member' | 'Replica';
  /** The kept session was lost without our doing: the first sign of a server that died or restarted. */
  readonly onLost?: () => void;
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
  /** The last answer or failure. */
  fact(): Fact<ServerLook>;
  /** Connection id of the session that holds the lock, while it lives; taken before the last known look began. */
  lockHeldBy(): number | null;
  /** What the looks so far say about the lives of this server; null before the first answer. */
  incarnation(): Incarnation | null;
  /** The next probe opens another session. A look that is under way meanwhile says nothing of the server any more. */
  reset(): void;
  /** Ends the session for good. */
  close(): void;
}

/** One connected session and what is known of it. */
interface Kept {
  readonly session: SqlSession;
  readonly facts: SessionFacts;
  hasLock: boolean;
  look: ServerLook | null;
}

export function createServerProbe(options: ServerProbeOptions): ServerProbe {
  const { clock, lockName } = options;
  const closing = new AbortController();
  let kept: Kept | null = null;
  let fact: Fact<ServerLook> = NOT_ASKED_YET;
  let incarnation: Incarnation | null = null;
  let turn: Promise<unknown> = Promise.resolve();
  let resets = 0;

  return { probe, fact: () => fact, lockHeldBy, incarnation: () => incarnation, reset, close };

  function probe(ask: ProbeOptions): Promise<Fact<ServerLook>> {
    const end = clock.monotonicMs() + ask.deadlineMs;
    const mine = turn.then(async () => {
      const before = resets;
      const next = await look(ask.files, end, () => before === resets);
      // That we hung up is no sign of a server that died; and a session that was opened meanwhile is one of before.
      if (before === resets) fact = next;
      else discard();
      return fact;
    });
    turn = mine;
    return mine;
  }

  async function look(files: boolean, end: number, counts: () => boolean): Promise<Fact<ServerLook>> {
    const begun = clock.monotonicMs();
    try {
      const own = await session(end);
      await takeLock(own, end);
      // Not before: "a look that began before the VIP was asked" must mean that the lock was held then.
      const at = clock.monotonicMs();
      const previousFiles = own.look?.files ?? [];
      const of = options.of ?? (lockName === undefined ? 'Replica' : 'Member');
      const ask = { clock, ...limits(end), files: files || own.look === null, previousFiles, of } as const;
      own.look = await lookAtServer(own.session, ask, own.facts);
      if (counts()) incarnation = nextIncarnation(incarnation, own.look, at, options.newNumber);
      return known(own.look, at);
    } catch (error) {
      discard();
      return asUnknown(error, begun);
    }
  }

  async function session(end: number): Promise<Kept> {
    if (kept?.session.alive === true) return kept;
    const opened = await options.connect(options.target(), limits(end));
    const own: Kept = { session: opened, facts: newSessionFacts(), hasLock: false, look: null };
    kept = own;
    opened.onDead(() => {
      if (kept === own) options.onLost?.();
    });
    return own;
  }

  /** Tried again at each look: a server that was frozen may still hold it for our dead session. */
  async function takeLock(own: Kept, end: number): Promise<void> {
    if (lockName === undefined || own.hasLock) return;
    const statement = { ...limits(end), operation: 'take the nonce lock' };
    const rows = await own.session.query('SELECT GET_LOCK(?, 0) AS taken', [lockName()], statement);
    own.hasLock = rows[0]?.['taken'] === '1';
  }

  function limits(end: number): { deadlineMs: number; signal: AbortSignal } {
    return { deadlineMs: Math.max(1, end - clock.monotonicMs()), signal: closing.signal };
  }

  function lockHeldBy(): number | null {
    if (kept === null || !fact.known || kept.look !== fact.value) return null;
    return kept.hasLock && kept.session.alive ? kept.session.connectionId : null;
  }

  function reset(): void {
    resets += 1;
    discard();
  }

  function discard(): void {
    const own = kept;
    kept = null;
    own?.session.destroy();
  }

  function close(): void {
    closing.abort();
    discard();
  }
}
