// The application: writes through the VIP and reports what was acknowledged, when and by which server.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { emit, programInput } from './child.ts';
import { type SqlAddress, type TestSession, openSession } from './mariadb-sql.ts';
import { monotonicMs } from './monotonic.ts';
import { HOT_ROWS, type TableName } from './schema.ts';
import type { Acknowledged, WriterConfiguration } from './writer.ts';

const CONNECT_DEADLINE_MS = 250;
const WRITE_DEADLINE_MS = 1_000;
const RETRY_MS = 10;
/** An answer later than this means that the server may be gone: another connection is tried beside it. */
const DOUBT_MS = 100;
/** While nobody takes a connection, another one is tried so often; the first that is taken counts. */
const RECONNECT_EVERY_MS = 20;
/** So often a server that refuses again is asked on the same connection. */
const REFUSALS_IN_PLACE = 4;
const TOKEN_LENGTH = 24;
/** Host names may be equal; the name that the bench gave a server is in the names of its files. */
const SERVER_NAME = "SELECT SUBSTRING_INDEX(SUBSTRING_INDEX(@@pid_file, '/', -2), '/', 1) AS server";
const BATCH_ROWS = 4;
/** MariaDB's error for a write while read_only is on: certainly not committed. */
const READ_ONLY_ERRNO = 1290;

const input = await programInput();
const { signal } = input;
const configuration = input.configuration as WriterConfiguration;
const { vip, account, database } = configuration;
const address: SqlAddress = { name: 'the VIP', ...vip, ...account, ...(database === undefined ? {} : { database }) };
const run = randomBytes(3).toString('hex');
let counter = 0;
let nextAt = monotonicMs();
let current: Connected | undefined;
/** The server that refused the last write for being read-only. */
let refusedBy = '';

while (!signal.aborted) {
  current ??= await connect();
  if (current === undefined) break;
  await pace();
  await writeOne(current);
}
current?.session.close();

interface Connected {
  readonly session: TestSession;
  readonly server: string;
  fresh: boolean;
  /** How often it was refused for being read-only, one after the other. */
  refusals: number;
}

/** As soon as somebody answers: an attempt that meets nobody is joined by others. Undefined: told to end, or not needed. */
async function connect(isNeeded = (): boolean => true): Promise<Connected | undefined> {
  const attempts = new Set<Promise<void>>();
  const unreached = new Set<AbortController>();
  let first: Connected | undefined;
  while (first === undefined && !signal.aborted && isNeeded()) {
    const attempt = dial(unreached)
      .then((connected) => {
        if (first === undefined && isNeeded()) first = connected;
        else connected.session.close();
      })
      .catch(() => undefined)
      .finally(() => attempts.delete(attempt));
    attempts.add(attempt);
    await Promise.race([delay(RECONNECT_EVERY_MS), ...attempts]);
    // One that was refused at once ends the race as well as one that was taken.
    if (first === undefined) await delay(RETRY_MS);
  }
  if (first === undefined || isNeeded()) return first;
  first.session.close();
  return undefined;
}

/** The first one that is taken ends the others: a server that has just come would be busy with all of them. */
async function dial(unreached: Set<AbortController>): Promise<Connected> {
  const mine = new AbortController();
  unreached.add(mine);
  const onReached = (): void => {
    unreached.delete(mine);
    for (const other of unreached) other.abort();
  };
  const session = await openSession(address, CONNECT_DEADLINE_MS, { signal: mine.signal, onReached });
  try {
    const [row] = await session.sql(SERVER_NAME, [], CONNECT_DEADLINE_MS);
    return { session, server: row?.['server'] ?? '', fresh: true, refusals: 0 };
  } catch (error) {
    session.close();
    throw error;
  }
}

/** Keeps the rate on average, without a burst after a pause. */
async function pace(): Promise<void> {
  const now = monotonicMs();
  nextAt = Math.max(nextAt + 1000 / configuration.ratePerSecond, now - 1000 / configuration.ratePerSecond);
  if (nextAt > now) await delay(nextAt - now);
}

async function writeOne(to: Connected): Promise<void> {
  const table = to.fresh ? 'firsts' : chooseTable();
  const token = newToken();
  const { text, values } = statement(table, token);
  const startedAt = monotonicMs();
  try {
    const other = await answeredOrElsewhere(to.session.sql(text, values, WRITE_DEADLINE_MS));
    if (other !== undefined) {
      emit({ type: 'unsure', table, token, server: to.server, startedAt, at: monotonicMs() });
      to.session.close();
      current = other;
      return;
    }
    to.fresh = false;
    refusedBy = '';
    emit({ type: 'ack', table, token, server: to.server, startedAt, at: monotonicMs() } satisfies Acknowledged);
  } catch (error) {
    const refused = error instanceof Error && 'errno' in error && error.errno === READ_ONLY_ERRNO;
    emit({ type: refused ? 'refused' : 'unsure', table, token, server: to.server, startedAt, at: monotonicMs() });
    if (refused) await delay(RETRY_MS);
    // The address may have moved on since; where it is the same server again, its promotion is what is waited for.
    const isPromoting = refused && refusedBy === to.server && to.refusals < REFUSALS_IN_PLACE;
    refusedBy = refused ? to.server : '';
    if (isPromoting) to.refusals += 1;
    else {
      to.session.close();
      current = undefined;
    }
  }
}

/** Undefined once it was answered; a new connection where that was there first. */
async function answeredOrElsewhere(answer: Promise<unknown>): Promise<Connected | undefined> {
  let answered = false;
  const done = answer.then(() => undefined).finally(() => (answered = true));
  const elsewhere = async (): Promise<Connected | undefined> => {
    await delay(DOUBT_MS);
    return answered ? undefined : connect(() => !answered);
  };
  const other = elsewhere();
  other.catch(() => undefined);
  done.catch(() => undefined);
  return Promise.race([done, other.then((connected) => connected ?? done)]);
}

function newToken(): string {
  counter += 1;
  return `${run}-${String(counter)}`.padEnd(TOKEN_LENGTH, '.');
}

function chooseTable(): TableName {
  if (configuration.mix === 'equal') return 'plain';
  return (['plain', 'auto', 'hot', 'plain'] as const)[counter % 4] ?? 'plain';
}

function statement(table: TableName, token: string): { text: string; values: (string | number)[] } {
  if (table === 'auto') {
    const filler = randomBytes(counter % 400).toString('hex');
    return { text: 'INSERT INTO app.auto (token, filler) VALUES (?, ?)', values: [token, filler] };
  }
  if (table === 'hot') {
    const text = 'UPDATE app.hot SET changes = changes + 1, token = ? WHERE id = ?';
    return { text, values: [token, counter % HOT_ROWS] };
  }
  if (table === 'plain' && configuration.mix === 'mixed' && counter % 16 === 0) {
    const inserts = Array.from({ length: BATCH_ROWS }, () => 'INSERT INTO app.plain VALUES (?)');
    return { text: ['BEGIN', ...inserts, 'COMMIT'].join('; '), values: Array<string>(BATCH_ROWS).fill(token) };
  }
  return { text: `INSERT INTO app.${table} VALUES (?)`, values: [token] };
}
