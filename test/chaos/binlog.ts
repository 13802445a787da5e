import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** A transaction in a binlog or a relay log. */
export interface Logged {
  /** `domain-server-number`. */
  readonly gtid: string;
  readonly domain: string;
  readonly server: string;
  readonly number: bigint;
  /** What the application calls its rows and tables in it, in order: two that differ in that are not the same. */
  readonly words: readonly string[];
}

/** As the application writes them: rows (writer-main.ts), changes of the shape (beside.ts), rows of the other database. */
const WORD = /[0-9a-f]{6}-\d+\.+|shape_\d+|side-\d+/g;
const MAGIC_BYTES = 4;
const HEADER_BYTES = 19;
const TYPE_AT = 4;
const SERVER_AT = 5;
const LENGTH_AT = 9;
const GTID_EVENT = 162;

/** Every transaction in the files of these names, in order. Shares no code with `src/`, which it judges. */
export function transactionsIn(datadir: string, names: RegExp, but?: RegExp): Logged[] {
  const files = readdirSync(datadir).filter((name) => names.test(name) && but?.test(name) !== true);
  return files.sort().flatMap((name) => transactionsOf(readFileSync(join(datadir, name))));
}

/** Of a server's own binlog. */
export function binlogOf(datadir: string): Logged[] {
  return transactionsIn(datadir, /-bin\.\d+$/, /-relay-bin\./);
}

/** Up to where the file is whole: a crash may have torn its last event. */
export function transactionsOf(file: Buffer): Logged[] {
  const found: { gtid: Omit<Logged, 'words'>; from: number; to: number }[] = [];
  let at = MAGIC_BYTES;
  while (at + HEADER_BYTES <= file.length) {
    const length = file.readUInt32LE(at + LENGTH_AT);
    if (length < HEADER_BYTES || at + length > file.length) break;
    const last = found.at(-1);
    if (file.readUInt8(at + TYPE_AT) === GTID_EVENT) found.push({ gtid: gtidAt(file, at), from: at, to: at + length });
    else if (last !== undefined) last.to = at + length;
    at += length;
  }
  return found.map(({ gtid, from, to }) => ({ ...gtid, words: wordsIn(file.toString('latin1', from, to)) }));
}

function gtidAt(file: Buffer, at: number): Omit<Logged, 'words'> {
  const body = at + HEADER_BYTES;
  const number = file.readBigUInt64LE(body);
  const domain = String(file.readUInt32LE(body + 8));
  const server = String(file.readUInt32LE(at + SERVER_AT));
  return { gtid: `${domain}-${server}-${number}`, domain, server, number };
}

/** Each once: as a row image a token of an update is there before and after. */
function wordsIn(text: string): string[] {
  return [...new Set(text.match(WORD) ?? [])];
}

/** Where two that saw one history logged other things under one GTID. */
export function differing(one: readonly Logged[], other: readonly Logged[]): string[] {
  const there = new Map(other.map((logged) => [logged.gtid, wordsText(logged)]));
  return one.filter((logged) => (there.get(logged.gtid) ?? wordsText(logged)) !== wordsText(logged)).map(gtidOf);
}

function wordsText({ words }: Logged): string {
  return [...words].sort().join();
}

/** Numbers of one domain that two servers gave: each wrote without the other's. */
export function twins(...binlogs: readonly (readonly Logged[])[]): string[] {
  const servers = new Map<string, Set<string>>();
  for (const { domain, number, server } of binlogs.flat()) {
    const key = `${domain}-*-${number}`;
    servers.set(key, (servers.get(key) ?? new Set()).add(server));
  }
  return [...servers].filter(([, of]) => of.size > 1).map(([key]) => key);
}

/** What somebody lacks of a binlog although he has something that comes later in it. `has`: undefined where it cannot be told. */
export function holes(binlog: readonly Logged[], has: (logged: Logged) => boolean | undefined): Logged[] {
  const last = binlog.findLastIndex((logged) => has(logged) === true);
  return binlog.slice(0, Math.max(0, last)).filter((logged) => has(logged) === false);
}

/** What one logged before something that comes earlier in the other's binlog. */
export function reordered(mine: readonly Logged[], theirs: readonly Logged[]): string[] {
  const places = new Map(theirs.map(({ gtid }, index) => [gtid, index]));
  const found: string[] = [];
  let furthest = -1;
  for (const { gtid } of mine) {
    const place = places.get(gtid);
    if (place === undefined) continue;
    if (place < furthest) found.push(gtid);
    furthest = Math.max(furthest, place);
  }
  return found;
}

export function gtidOf({ gtid }: Logged): string {
  return gtid;
}
