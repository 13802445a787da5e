import { type GtidPosition, formatPosition, parsePosition, samePosition } from '../../domain/gtid.ts';
import type { BinlogRange } from '../binlog/range.ts';
import { OK, errorPacket, resultOf } from './wire.ts';

/** What a replica said of itself before it asked for the binlog. */
export type Said = Map<string, string>;

const NOT_SUPPORTED = 1235;
/** `SET @a = 1, @b = '…'`; the values are numbers, quoted text or names of variables. */
const ASSIGNMENT = /^\s*@([a-z_]{1,64})\s*=\s*('[^'\\]{0,65000}'|[\w.@-]{1,200})\s*(?:,|$)/iu;

/** Answers what a replica's receiver asks before it asks for the binlog, and nothing else. */
export function answerTo(sql: string, range: BinlogRange, said: Said, nowMs: number): Buffer[] {
  const text = sql.trim().replace(/;$/u, '');
  if (/^SET NAMES /iu.test(text)) return [OK];
  if (/^SET\s/iu.test(text)) return remember(text.slice(4), said) ? [OK] : [unknown()];
  const known = ANSWERS.find(({ asked }) => asked.test(text));
  return known === undefined ? [unknown()] : resultOf(known.columns, known.row(range, nowMs));
}

interface Known {
  readonly asked: RegExp;
  readonly columns: readonly string[];
  row(range: BinlogRange, nowMs: number): string[] | null;
}

const ANSWERS: readonly Known[] = [
  {
    asked: /^SELECT UNIX_TIMESTAMP\(\)$/iu,
    columns: ['UNIX_TIMESTAMP()'],
    row: (_range, nowMs) => [String(Math.floor(nowMs / 1000))],
  },
  {
    asked: /^SHOW VARIABLES LIKE 'SERVER_ID'$/iu,
    columns: ['Variable_name', 'Value'],
    row: (range) => ['server_id', String(serverIdOf(range))],
  },
  {
    asked: /^SELECT @@GLOBAL\.gtid_domain_id$/iu,
    columns: ['@@GLOBAL.gtid_domain_id'],
    row: () => ['0'],
  },
  {
    asked: /^SELECT @master_binlog_checksum$/iu,
    columns: ['@master_binlog_checksum'],
    row: (range) => [checksumOf(range)],
  },
  // Nobody here waits for acknowledgements.
  { asked: /^SHOW VARIABLES LIKE 'rpl_semi_sync_\w+'$/iu, columns: ['Variable_name', 'Value'], row: () => null },
];

function unknown(): Buffer {
  return errorPacket(NOT_SUPPORTED, '42000', 'this source only sends what a replica lacks, and answers nothing else');
}

function remember(assignments: string, said: Said): boolean {
  let left = assignments;
  while (left !== '') {
    const found = ASSIGNMENT.exec(left);
    if (found === null) return false;
    const [whole, name = '', value = ''] = found;
    said.set(name.toLowerCase(), value.replace(/^'|'$/gu, ''));
    left = left.slice(whole.length);
  }
  return true;
}

export function serverIdOf({ parts }: BinlogRange): number {
  return parts[0]?.head.serverId ?? 0;
}

/** Of the events that come before the first Format_description. */
export function checksumOf({ parts }: BinlogRange): 'CRC32' | 'NONE' {
  return parts[0]?.head.format.checksum === 'NONE' ? 'NONE' : 'CRC32';
}

/** GTID events as they are. */
const CAPABILITY = 4;

/** Why it is not sent anything, or null. It has to stand where it was proven to stand, and to stop where it is to stop. */
export function whyNotSent(said: Said, { from, until }: BinlogRange): string | null {
  if (Number(said.get('mariadb_slave_capability') ?? 0) < CAPABILITY) return 'it is no replica that knows GTIDs';
  const state = positionIn(said, 'slave_connect_state');
  if (state === null || !samePosition(state, from)) {
    return `it stands at ${shown(state)}, and what it lacks was looked for from ${shown(from)}`;
  }
  const end = positionIn(said, 'slave_until_gtid');
  // A domain that it does not name ends where it stands.
  if (end !== null && samePosition(new Map([...from, ...end]), until)) return null;
  return `it does not stop at ${shown(until)}, up to which it is to be filled`;
}

function positionIn(said: Said, name: string): GtidPosition | null {
  const text = said.get(name);
  return text === undefined ? null : (parsePosition(text) ?? null);
}

function shown(position: GtidPosition | null): string {
  return position === null ? 'no GTID position' : formatPosition(position) || 'an empty position';
}
