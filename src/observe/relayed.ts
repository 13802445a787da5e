import { z } from 'zod';
import type { Gtid } from '../domain/gtid.ts';
import { parseGtid } from '../domain/gtid.ts';
import { isMxrError } from '../errors.ts';
import type { SqlSession, StatementOptions } from '../sql/port.ts';
import { parseRows } from './rows.ts';

const Status = z.object({
  Connection_name: z.string().nullable(),
  Relay_Log_File: z.string().nullable(),
  Relay_Log_Pos: z.coerce.number().int().min(0).nullable(),
});
const Event = z.object({ Pos: z.coerce.number().int().min(0), Event_type: z.string(), Info: z.string().nullable() });

/** The first transaction stands behind a handful of events that describe the file. */
const EVENTS = 64;

/**
 * The transaction with which the relay log begins that is applied now: it was begun when the replica connected last, or its
 * source began a file since. An older one may be of another connection. SHOW RELAYLOG EVENTS holds the lock of the relay
 * log while it reads, so it reads little.
 */
export function relayedFirst(session: SqlSession, channel: string, limits: Limits): Promise<Gtid | null> {
  return firstGtid({ session, channel, limits, operation: 'read the beginning of its relay log' }, () => '');
}

/** The transaction at the place from which the SQL thread would go on; null where none begins there. */
export function relayedNext(session: SqlSession, channel: string, limits: Limits): Promise<Gtid | null> {
  const asking = { session, channel, limits, operation: 'read its relay log' };
  return firstGtid(asking, ({ Relay_Log_Pos: at }) => (at === null ? '' : `FROM ${at} `));
}

const REST = 'read the rest of its relay log';
/** 30 MB of a large transaction of rows. */
const PAGE = 4_000;
/** Of every failure of this command: a place that cannot be read is another one than a file that is not there. */
const ER_COMMAND_FAILED = 1220;
const NO_SUCH_FILE = /Could not find target log/;

/** Whether a whole transaction waits behind the place that is applied, or nothing but the beginning of one. */
export async function relayedRest(session: SqlSession, channel: string, limits: Limits): Promise<'Whole' | 'Half'> {
  const reading = { session, channel, limits, operation: REST };
  const link = await statusOf(reading);
  if (link?.Relay_Log_File == null || link.Relay_Log_Pos === null) return 'Whole';
  const reader = new RestReader();
  let [file, from] = [link.Relay_Log_File, link.Relay_Log_Pos];
  for (;;) {
    const events = await eventsFrom(reading, file, from);
    if (events === null) return file === link.Relay_Log_File ? 'Whole' : 'Half';
    if (events.some((event) => reader.ends(event))) return 'Whole';
    const last = events.at(-1)?.Pos ?? from;
    // The last one again: pages have it in common.
    if (events.length === PAGE && last > from) from = last;
    else [file, from] = [following(file), 4];
  }
}

/** A transaction goes on in the next file of the relay log where the link was connected anew in between. */
class RestReader {
  #open: 'No' | 'Group' | 'Standalone' = 'No';

  ends({ Event_type: type, Info: info }: z.infer<typeof Event>): boolean {
    if (type === 'Gtid') {
      this.#open = info?.startsWith('GTID') === true ? 'Standalone' : 'Group';
      return false;
    }
    if (type === 'Xid' || type === 'XA_prepare') return true;
    // Where no beginning was seen any statement may be the end of something.
    if (this.#open !== 'Group') return type.startsWith('Query') || type === 'Execute_load_query';
    return type.startsWith('Query') && BOUNDARY.test(info ?? '');
  }
}

const BOUNDARY = /(^|; )(COMMIT|ROLLBACK)$/i;

function following(file: string): string {
  return file.replace(/\d+$/, (digits) => String(Number(digits) + 1).padStart(digits.length, '0'));
}

async function eventsFrom(reading: Reading, file: string, from: number): Promise<z.infer<typeof Event>[] | null> {
  const sql = `SHOW RELAYLOG ${nameOf(reading.channel)}EVENTS IN ? FROM ${from} LIMIT ${PAGE}`;
  try {
    return await ask(reading, Event, sql, [file]);
  } catch (error) {
    // There is no such file: the one before was the last.
    if (isMxrError(error) && error.errno === ER_COMMAND_FAILED && NO_SUCH_FILE.test(error.message)) return null;
    throw error;
  }
}

type Limits = Pick<StatementOptions, 'deadlineMs' | 'signal'>;

interface Reading {
  readonly session: SqlSession;
  readonly channel: string;
  readonly limits: Limits;
  readonly operation: string;
}

async function ask<T>(
  { session, limits, operation }: Reading,
  schema: z.ZodType<T>,
  sql: string,
  params: readonly string[] = [],
): Promise<T[]> {
  return parseRows(schema, await session.query(sql, params, { ...limits, operation }), operation, session.target.name);
}

async function statusOf(reading: Reading): Promise<z.infer<typeof Status> | undefined> {
  const links = await ask(reading, Status, 'SHOW ALL SLAVES STATUS');
  return links.find((one) => (one.Connection_name ?? '').toLowerCase() === reading.channel.toLowerCase());
}

function nameOf(channel: string): string {
  return channel === '' ? '' : `'${channel.replaceAll("'", '')}' `;
}

async function firstGtid(reading: Reading, from: (link: z.infer<typeof Status>) => string): Promise<Gtid | null> {
  const link = await statusOf(reading);
  if (link?.Relay_Log_File == null) return null;
  const sql = `SHOW RELAYLOG ${nameOf(reading.channel)}EVENTS IN ? ${from(link)}LIMIT ${EVENTS}`;
  const events = await ask(reading, Event, sql, [link.Relay_Log_File]);
  const info = events.find((event) => event.Event_type === 'Gtid')?.Info ?? '';
  return parseGtid(/\bGTID (\d+-\d+-\d+)/.exec(info)?.[1] ?? '') ?? null;
}
