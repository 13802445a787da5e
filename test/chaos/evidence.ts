import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Replica } from '../support/bench.ts';
import { slaveStatus } from '../support/link.ts';
import type { MariaDbServer } from '../support/mariadb.ts';
import { beyond, numbersOf } from './gtid.ts';
import type { Numbers } from './gtid.ts';
import { sideTokens } from './side.ts';

/** What shows from outside, at the servers and in their files, of a replica beside the holder. mxr has no part in it. */
export interface Evidence {
  /** Inserted by a transaction that the replica applied or received, and not in the holder's rows. */
  readonly more: readonly string[];
  /** In the holder's rows, and neither in the replica's nor received by it for good. */
  readonly lacks: readonly string[];
  /** Those of them that no binlog file of the holder has. */
  readonly lacksForEver: readonly string[];
  /** GTIDs that another member wrote itself, the holder applied, and the replica never got: DDL and changes of rows, too. */
  readonly peerWrites: readonly string[];
  /** Other members whose binlog has all of that. */
  readonly donors: readonly string[];
  /** GTIDs that the replica has and the holder does not. */
  readonly gtidsAhead: readonly string[];
  /** Origins (domain-server) in the holder's binlog that the replica knows nothing of. */
  readonly unknownOrigins: readonly string[];
  /** Rows of the updated table that the replica has changed more often than the holder. */
  readonly hotAhead: number;
  readonly hotBehind: number;
  readonly io: string;
  readonly sql: string;
  readonly sqlErrno: string;
  readonly usingGtid: string;
  readonly holderLogsUpdates: boolean;
  readonly holderByFile: boolean;
  readonly replicaLogsUpdates: boolean;
}

/** As the application writes them, see writer-main.ts. */
const TOKEN = /[0-9a-f]{6}-\d+\.+/g;
const INSERTED =
  'SELECT token FROM app.plain UNION ALL SELECT token FROM app.auto UNION ALL SELECT token FROM app.firsts';
const VARIABLES =
  'SELECT @@gtid_binlog_state AS logged, @@gtid_slave_pos AS applied, @@gtid_binlog_pos AS own, @@log_slave_updates AS lsu';

/** `isInserted` tells the tokens of rows that stay from those of rows that are updated again. */
export async function gather(
  [holder, ...others]: readonly [MariaDbServer, ...MariaDbServer[]],
  { db }: Replica,
  isInserted: (token: string) => boolean,
): Promise<Evidence> {
  const [theirs, mine] = await Promise.all([look(holder), look(db)]);
  const received = filesTokens(db, /-relay-bin\.\d+$/).filter((token) => isInserted(token));
  const logged = loggedBy(holder);
  const link = await slaveStatus(db);
  const have = new Set([...mine.rows, ...received]);
  const kept = keepsReceived(link) ? have : mine.rows;
  const lacks = [...theirs.rows].filter((token) => !kept.has(token));
  const lacksForEver = lacks.filter((token) => !logged.has(token));
  const numbers = numbersOf(mine.variables['applied'], mine.variables['logged'], link?.['Gtid_IO_Pos']);
  const holderLink = await slaveStatus(holder);
  const holderNumbers = numbersOf(theirs.variables['logged'], theirs.variables['applied']);
  return {
    more: [...[...have].filter((token) => !theirs.rows.has(token)), ...(await beyondSide(db, holder))],
    lacks,
    lacksForEver,
    peerWrites: (await ownWritesOf(others, numbers)).filter(
      (gtid) => beyond(numbersOf(gtid), holderNumbers).length === 0,
    ),
    donors: others.filter((other) => hasLogged(other, lacksForEver)).map(({ name }) => name),
    gtidsAhead: beyond(withoutOwn(numbers, db), holderNumbers),
    unknownOrigins: [...numbersOf(theirs.variables['logged']).keys()].filter((key) => !numbers.has(key)),
    ...compareHot(theirs.hot, mine.hot),
    io: link?.['Slave_IO_Running'] ?? 'none',
    sql: link?.['Slave_SQL_Running'] ?? 'none',
    sqlErrno: link?.['Last_SQL_Errno'] ?? '0',
    usingGtid: link?.['Using_Gtid'] ?? 'none',
    holderLogsUpdates: theirs.variables['lsu'] === '1',
    holderByFile: holderLink?.['Using_Gtid'] === 'No',
    replicaLogsUpdates: mine.variables['lsu'] === '1',
  };
}

function loggedBy(db: MariaDbServer): ReadonlySet<string> {
  return new Set(filesTokens(db, /-bin\.\d+$/, /-relay-bin\./));
}

function hasLogged(db: MariaDbServer, tokens: readonly string[]): boolean {
  if (tokens.length === 0 || !db.running) return false;
  const logged = loggedBy(db);
  return tokens.every((token) => logged.has(token));
}

/** By GTID a server whose applier does not run throws away what it has received when it starts its link again. */
function keepsReceived(link: Readonly<Record<string, string | null>> | undefined): boolean {
  return link?.['Using_Gtid'] === 'No' || link?.['Slave_SQL_Running'] === 'Yes';
}

/** A filter keeps its rows from the holder, and what only a replica has is more all the same. */
async function beyondSide(replica: MariaDbServer, holder: MariaDbServer): Promise<string[]> {
  const [mine, theirs] = await Promise.all([sideTokens(replica), sideTokens(holder)]);
  return [...mine].filter((token) => !theirs.has(token));
}

interface Look {
  readonly rows: ReadonlySet<string>;
  readonly hot: ReadonlyMap<string, number>;
  readonly variables: Readonly<Record<string, string | null>>;
}

async function look(db: MariaDbServer): Promise<Look> {
  const rows = new Set((await db.sql(INSERTED)).map((row) => (row['token'] ?? '').trim()));
  const hot = new Map(
    (await db.sql('SELECT id, changes FROM app.hot')).map((row) => [row['id'] ?? '', Number(row['changes'])]),
  );
  return { rows, hot, variables: await db.row(VARIABLES) };
}

function compareHot(
  theirs: ReadonlyMap<string, number>,
  mine: ReadonlyMap<string, number>,
): { hotAhead: number; hotBehind: number } {
  const differences = [...mine].map(([id, changes]) => changes - (theirs.get(id) ?? 0));
  return {
    hotAhead: differences.filter((difference) => difference > 0).length,
    hotBehind: differences.filter((difference) => difference < 0).length,
  };
}

/** The last of each domain that a member logged under its own server id, where that is beyond these numbers. */
async function ownWritesOf(members: readonly MariaDbServer[], than: Numbers): Promise<string[]> {
  const written = members
    .filter(({ running }) => running)
    .map(async (db) => {
      const { logged } = await db.row('SELECT @@gtid_binlog_state AS logged');
      const own = [...numbersOf(logged)].filter(([key]) => isOf(key, db));
      return beyond(new Map(own), than);
    });
  return (await Promise.all(written)).flat();
}

function withoutOwn(numbers: Numbers, db: MariaDbServer): Numbers {
  return new Map([...numbers].filter(([key]) => !isOf(key, db)));
}

/** Whether `domain-server` names this server. */
function isOf(key: string, { serverId }: MariaDbServer): boolean {
  return key.split('-')[1] === String(serverId);
}

/** Every token in the files of these names, as they are on disk at this moment. */
function filesTokens({ datadir }: MariaDbServer, names: RegExp, but?: RegExp): string[] {
  const files = readdirSync(datadir).filter((name) => names.test(name) && but?.test(name) !== true);
  const texts = files.map((name) => readFileSync(join(datadir, name), 'latin1'));
  return [...new Set(texts.flatMap((text) => text.match(TOKEN) ?? []))];
}
