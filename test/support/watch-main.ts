// Sees, every 10 ms, who answers at the VIP and which first rows each replica has; reports only changes.
import { setTimeout as delay } from 'node:timers/promises';
import { emit, programInput } from './child.ts';
import { type SqlAddress, type TestSession, openSession } from './mariadb-sql.ts';
import { monotonicMs } from './monotonic.ts';
import type { WatchConfiguration, WatchEvent } from './watch.ts';

const POLL_MS = 10;
/** A connect that meets nobody is given up after this; every tick starts another one meanwhile. */
const ATTEMPT_DEADLINE_MS = 250;
/** An answer later than this means that the session may be gone: fresh connects begin beside it. */
const DOUBT_MS = 50;
/** A host that took the connection is about to answer: another one would only wait behind it. */
const REACHED_MS = 20;

const input = await programInput();
const { signal } = input;
const configuration = input.configuration as WatchConfiguration;
await Promise.all([watchVip(configuration.vip), ...configuration.replicas.map((replica) => watchReplica(replica))]);

async function watchVip(vip: SqlAddress): Promise<void> {
  let session: TestSession | undefined;
  let askedAt = 0;
  let asking = false;
  let reachedAt = Number.NEGATIVE_INFINITY;
  const unreached = new Set<AbortController>();
  let [server, writable] = ['', false];
  while (!signal.aborted) {
    const now = monotonicMs();
    const isLost = session === undefined || (asking && now - askedAt > DOUBT_MS);
    if (isLost && now - reachedAt > REACHED_MS) void attempt();
    else if (session !== undefined && !asking) void ask(session);
    await delay(POLL_MS);
  }
  session?.close();

  /** The first one that is taken ends the others: a server that has just come would be busy with all of them. */
  async function attempt(): Promise<void> {
    const mine = new AbortController();
    unreached.add(mine);
    const onReached = (): void => {
      reachedAt = monotonicMs();
      unreached.delete(mine);
      for (const other of unreached) other.abort();
    };
    try {
      const fresh = await openSession(vip, ATTEMPT_DEADLINE_MS, { signal: mine.signal, onReached });
      try {
        seen(await whoAnswers(fresh));
      } catch (error) {
        fresh.close();
        throw error;
      }
      if (session !== undefined) session.close();
      [session, asking] = [fresh, false];
    } catch {
      // Nobody there yet; the next tick tries again.
      reachedAt = Number.NEGATIVE_INFINITY;
    } finally {
      unreached.delete(mine);
    }
  }

  async function ask(on: TestSession): Promise<void> {
    [asking, askedAt] = [true, monotonicMs()];
    try {
      const now = await whoAnswers(on);
      if (session === on) seen(now);
    } catch {
      if (session === on) [session, server] = [undefined, ''];
    } finally {
      if (session === on) asking = false;
      else on.close();
    }
  }

  function seen(now: Answering): void {
    const at = monotonicMs();
    if (now.server !== server) {
      [server, writable] = [now.server, false];
      report({ type: 'vip', server, at });
    }
    if (now.writable && !writable) report({ type: 'writable', server, at });
    writable = now.writable;
  }
}

interface Answering {
  readonly server: string;
  readonly writable: boolean;
}

async function whoAnswers(session: TestSession): Promise<Answering> {
  const text = 'SELECT @@hostname AS server, @@read_only AS read_only';
  const [row] = await session.sql(text, [], ATTEMPT_DEADLINE_MS);
  return { server: row?.['server'] ?? '', writable: row?.['read_only'] === '0' };
}

async function watchReplica(replica: SqlAddress): Promise<void> {
  const known = new Set<string>();
  let session: TestSession | undefined;
  while (!signal.aborted) {
    try {
      session ??= await openSession(replica, ATTEMPT_DEADLINE_MS);
      for (const row of await session.sql('SELECT token FROM app.firsts', [], ATTEMPT_DEADLINE_MS)) {
        const token = row['token'] ?? '';
        if (!known.has(token)) report({ type: 'first', replica: replica.name, token, at: monotonicMs() });
        known.add(token);
      }
    } catch {
      session?.close();
      session = undefined;
    }
    await delay(POLL_MS);
  }
  session?.close();
}

function report(event: WatchEvent): void {
  emit(event);
}
