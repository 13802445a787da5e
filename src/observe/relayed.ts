import { z } from 'zod';
import type { Gtid } from '../domain/gtid.ts';
import { parseGtid } from '../domain/gtid.ts';
import type { SqlSession, StatementOptions } from '../sql/port.ts';
import { parseRows } from './rows.ts';

const Status = z.object({ Connection_name: z.string().nullable(), Relay_Log_File: z.string().nullable() });
const Event = z.object({ Event_type: z.string(), Info: z.string().nullable() });

/** The first transaction stands behind a handful of events that describe the file. */
const EVENTS = 64;

/**
 * The transactions with which the replica's relay logs begin: the one that is applied now, and the oldest one that is still
 * there. A relay log begins when the replica connects, or its source begins a file. SHOW RELAYLOG EVENTS holds the lock of
 * the relay log while it reads, so it reads little.
 */
export async function relayedFirst(
  session: SqlSession,
  channel: string,
  limits: Pick<StatementOptions, 'deadlineMs' | 'signal'>,
): Promise<Gtid[]> {
  const operation = 'read the beginning of its relay log';
  const ask = async <T>(schema: z.ZodType<T>, sql: string, params: readonly string[] = []) =>
    parseRows(schema, await session.query(sql, params, { ...limits, operation }), operation, session.target.name);
  const links = await ask(Status, 'SHOW ALL SLAVES STATUS');
  const file = links.find(
    (link) => (link.Connection_name ?? '').toLowerCase() === channel.toLowerCase(),
  )?.Relay_Log_File;
  const relayLog = `SHOW RELAYLOG ${channel === '' ? '' : `'${channel.replaceAll("'", '')}' `}EVENTS`;
  const oldest = await ask(Event, `${relayLog} LIMIT ${EVENTS}`);
  const newest = file == null ? [] : await ask(Event, `${relayLog} IN ? LIMIT ${EVENTS}`, [file]);
  return [oldest, newest].flatMap((events) => {
    const info = events.find((event) => event.Event_type === 'Gtid')?.Info ?? '';
    return parseGtid(/\bGTID (\d+-\d+-\d+)/.exec(info)?.[1] ?? '') ?? [];
  });
}
