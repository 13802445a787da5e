import type { Replica } from '../support/bench.ts';
import { slaveStatus } from '../support/link.ts';
import type { MariaDbServer } from '../support/mariadb.ts';
import type { Logged } from './binlog.ts';
import { binlogOf, differing, gtidOf, holes, reordered, transactionsIn, twins } from './binlog.ts';
import { beyond, numbersOf } from './gtid.ts';
import type { Numbers } from './gtid.ts';
import { SIDE_TOKEN, sideTokens } from './side.ts';

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
  /** Inserted rows that the replica has more often than the holder, which has them too. */
  readonly doubled: readonly string[];
  /** GTIDs of the holder's binlog that the replica lacks although it has one that comes later there. */
  readonly holes: readonly string[];
  /** GTIDs of the holder's binlog that the replica lacks although it has a higher number of that domain. */
  readonly passedOver: readonly string[];
  /** GTIDs under which the replica and the holder logged other things. */
  readonly differing: readonly string[];
  /** Numbers of one domain that two servers gave, each without the other's. */
  readonly twins: readonly string[];
  /** What the replica applied before something that comes earlier in the holder's binlog. */
  readonly reordered: readonly string[];
  /** What another member logged itself and the holder lacks: GTIDs, and inserted rows. */
  readonly elsewhere: readonly string[];
  /** Another member has the holder's server id: its numbers say nothing of who wrote. */
  readonly equalIds: boolean;
  readonly io: string;
  readonly sql: string;
  readonly sqlErrno: string;
  readonly usingGtid: string;
  readonly holderLogsUpdates: boolean;
  readonly holderByFile: boolean;
  readonly replicaLogsUpdates: boolean;
}

/** As the application writes them, see writer-main.ts. */
const TOKEN = /^[0-9a-f]{6}-\d+\.+$/;
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
  const relayed = transactionsIn(db.datadir, /-relay-bin\.\d+$/);
  const received = relayed.flatMap(({ words }) => words).filter((word) => TOKEN.test(word) && isInserted(word));
  const binlogs = { holder: binlogOf(holder.datadir), replica: binlogOf(db.datadir) };
  // On shared storage the other host has the same one.
  const peers = others.filter(({ datadir }) => datadir !== holder.datadir);
  const peerBinlogs = peers.flatMap(({ datadir }) => binlogOf(datadir));
  const logged = wordsOf(binlogs.holder);
  const link = await slaveStatus(db);
  const have = new Set([...mine.rows.keys(), ...received]);
  const kept = keepsReceived(link) ? have : mine.rows;
  const lacks = [...theirs.rows.keys()].filter((token) => !kept.has(token));
  const lacksForEver = lacks.filter((token) => !logged.has(token));
  const numbers = numbersOf(mine.variables['applied'], mine.variables['logged'], link?.['Gtid_IO_Pos']);
  const holderLink = await slaveStatus(holder);
  const holderNumbers = numbersOf(theirs.variables['logged'], theirs.variables['applied']);
  const side = await sideTokens(db);
  const has = hasOf({ ...mine, side, logs: mine.variables['lsu'] === '1' }, binlogs.replica, isInserted);
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
    doubled: doubled(mine.rows, theirs.rows),
    holes: holes(binlogs.holder, has).map(gtidOf),
    passedOver: binlogs.holder.filter((one) => has(one) === false && isBelow(one, numbers)).map(gtidOf),
    differing: differing([...binlogs.replica, ...relayed], binlogs.holder),
    twins: twins(binlogs.holder, binlogs.replica, relayed, peerBinlogs),
    reordered: reordered(binlogs.replica, binlogs.holder),
    elsewhere: [
      ...(await ownWritesOf(peers, holderNumbers)),
      ...[...wordsOf(peerBinlogs)].filter((word) => isInserted(word) && TOKEN.test(word) && !theirs.rows.has(word)),
    ],
    equalIds: peers.some(({ serverId }) => serverId === holder.serverId),
    io: link?.['Slave_IO_Running'] ?? 'none',
    sql: link?.['Slave_SQL_Running'] ?? 'none',
    sqlErrno: link?.['Last_SQL_Errno'] ?? '0',
    usingGtid: link?.['Using_Gtid'] ?? 'none',
    holderLogsUpdates: theirs.variables['lsu'] === '1',
    holderByFile: holderLink?.['Using_Gtid'] === 'No',
    replicaLogsUpdates: mine.variables['lsu'] === '1',
  };
}

/** A transaction may insert one row several times: how often it did is known of what the holder has. */
export function doubled(mine: ReadonlyMap<string, number>, theirs: ReadonlyMap<string, number>): string[] {
  return [...mine].flatMap(([token, copies]) => (copies > (theirs.get(token) ?? copies) ? [token] : []));
}

function wordsOf(binlog: readonly Logged[]): ReadonlySet<string> {
  return new Set(binlog.flatMap(({ words }) => words));
}

/** Whether a replica has a transaction: by its own binlog, or by its rows, where it inserted some. */
function hasOf(
  {
    rows,
    side,
    logs,
  }: { readonly rows: ReadonlyMap<string, number>; readonly side: ReadonlySet<string>; readonly logs: boolean },
  binlog: readonly Logged[],
  isInserted: (token: string) => boolean,
): (logged: Logged) => boolean | undefined {
  const logged = new Set(binlog.map(gtidOf));
  return ({ gtid, words }) => {
    if (logs) return logged.has(gtid);
    const tokens = words.filter((word) => (TOKEN.test(word) && isInserted(word)) || SIDE_TOKEN.test(word));
    return tokens.length === 0 ? undefined : tokens.every((token) => rows.has(token) || side.has(token));
  };
}

function isBelow({ domain, number }: Logged, numbers: Numbers): boolean {
  return [...numbers].some(([key, reached]) => key.startsWith(`${domain}-`) && reached > number);
}

function hasLogged(db: MariaDbServer, tokens: readonly string[]): boolean {
  if (tokens.length === 0 || !db.running) return false;
  const logged = wordsOf(binlogOf(db.datadir));
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
  /** Inserted ones, and how often each is there. */
  readonly rows: ReadonlyMap<string, number>;
  readonly hot: ReadonlyMap<string, number>;
  readonly variables: Readonly<Record<string, string | null>>;
}

/** How often each token is in the tables whose rows are not updated. */
export async function insertedRows(db: MariaDbServer): Promise<Map<string, number>> {
  const rows = new Map<string, number>();
  for (const row of await db.sql(INSERTED)) {
    const token = (row['token'] ?? '').trim();
    rows.set(token, (rows.get(token) ?? 0) + 1);
  }
  return rows;
}

async function look(db: MariaDbServer): Promise<Look> {
  const rows = await insertedRows(db);
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
