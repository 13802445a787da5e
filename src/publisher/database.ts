import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import type { Fact } from '../domain/fact.ts';
import { known } from '../domain/fact.ts';
import type { ServerLook } from '../domain/observation.ts';
import { createServerProbe } from '../observe/probe.ts';
import type { Logger } from '../ops/log.ts';
import type { SqlConnect, SqlTarget } from '../sql/port.ts';
import { datadirId } from './machine.ts';

/** The database of this host as one look saw it. */
export interface SeenServer {
  readonly look: ServerLook;
  readonly datadirId: string;
  /** Numbers the lives of the server that this process has seen. */
  readonly incarnation: number;
}

export interface DatabaseOptions {
  /** Read at each connect. */
  readonly target: () => SqlTarget;
  readonly connect: SqlConnect;
  readonly timeoutMs: number;
  readonly dataDirectory: string | null;
  readonly clock: Clock;
  readonly log: Logger;
  /** Its session was lost: the first sign of a database that died. */
  readonly onLost: () => void;
}

/** Looks at the database of this host over one kept session. */
export interface Database {
  /** Within the timeout; never throws. */
  look(): Promise<Fact<SeenServer>>;
  close(): void;
}

export function createDatabase(options: DatabaseOptions): Database {
  const { target, connect, timeoutMs, dataDirectory, clock, log, onLost } = options;
  let incarnations = 0;
  let seen: SeenServer | null = null;
  /** Undefined: nothing was told yet. */
  let trouble: string | null | undefined;
  const newNumber = (): number => (incarnations += 1);
  const probe = createServerProbe({ target, connect, clock, newNumber, of: 'Member', onLost });
  return { look, close: () => probe.close() };

  async function look(): Promise<Fact<SeenServer>> {
    const fact = await probe.probe({ deadlineMs: timeoutMs, files: false });
    tell(fact);
    if (!fact.known) return fact;
    seen = await next(fact.value);
    return known(seen, fact.at);
  }

  async function next(found: ServerLook): Promise<SeenServer> {
    const incarnation = probe.incarnation()?.number ?? 0;
    if (seen?.incarnation === incarnation) return { ...seen, look: found };
    return { look: found, incarnation, datadirId: await nameDatadir(found) };
  }

  /** A file system can hang. */
  async function nameDatadir(found: ServerLook): Promise<string> {
    const done = new AbortController();
    try {
      return await Promise.race([datadirId(found, dataDirectory), sleep(timeoutMs, done.signal).then(() => '')]);
    } finally {
      done.abort('done');
    }
  }

  function tell(fact: Fact<ServerLook>): void {
    const code = fact.known ? null : fact.code;
    if (code === trouble) return;
    if (fact.known) log.info('the database answers', { server: fact.value.identity, version: fact.value.version });
    else log.warn('the database does not answer', { code: fact.code, why: fact.why });
    trouble = code;
  }
}
