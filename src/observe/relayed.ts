import { z } from 'zod';
import type { Gtid } from '../domain/gtid.ts';
import { parseGtid } from '../domain/gtid.ts';
import type { SqlSession, StatementOptions } from '../sql/port.ts';
import { parseRows } from './rows.ts';

const Status = z.object({
  Connection_name: z.string().nullable(),
  Relay_Log_File: z.string().nullable(),
  Relay_Log_Pos: z.coerce.number().int().min(0).nullable(),
});
const Event = z.object({ Event_type: z.string(), Info: z.string().nullable() });

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

type Limits = Pick<StatementOptions, 'deadlineMs' | 'signal'>;

interface Reading {
  readonly session: SqlSession;
  readonly channel: string;
  readonly limits: Limits;
  readonly operation: string;
}

async function firstGtid(
  { session, channel, limits, operation }: Reading,
  from: (link: z.infer<typeof Status>) => string,
): Promise<Gtid | null> {
  const ask = async <T>(schema: z.ZodType<T>, sql: string, params: readonly string[] = []) =>
    parseRows(schema, await session.query(sql, params, { ...limits, operation }), operation, session.target.name);
  const links = await ask(Status, 'SHOW ALL SLAVES STATUS');
  const link = links.find((one) => (one.Connection_name ?? '').toLowerCase() === channel.toLowerCase());
  if (link?.Relay_Log_File == null) return null;
  const name = channel === '' ? '' : `'${channel.replaceAll("'", '')}' `;
  const sql = `SHOW RELAYLOG ${name}EVENTS IN ? ${from(link)}LIMIT ${EVENTS}`;
  const events = await ask(Event, sql, [link.Relay_Log_File]);
  const info = events.find((event) => event.Event_type === 'Gtid')?.Info ?? '';
  return parseGtid(/\bGTID (\d+-\d+-\d+)/.exec(info)?.[1] ?? '') ?? null;
}
