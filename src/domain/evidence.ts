import type { Fact } from './fact.ts';
import { NOT_ASKED_YET } from './fact.ts';
import type { Gtid, GtidPosition, GtidState } from './gtid.ts';
import type { Coordinates } from './observation.ts';

/**
 * What a proof still needs to know. A question is a value: the domain asks, `observe/evidence.ts` gets the answer, and
 * the next pass decides with it. The incarnation is part of each question: an answer of another life never fits.
 */
export type Question =
  | FileHeaderQuestion
  | GtidAtQuestion
  | RehearsalQuestion
  | WalkQuestion
  | SpanQuestion
  | FilesQuestion
  | TransactionQuestion
  | LoggedQuestion
  | RelayedQuestion
  | RelayNextQuestion
  | RelayRestQuestion
  | OwnWritesQuestion
  | FailedRowsQuestion
  | LiveLookQuestion;

/** The Format_description and Gtid_list with which one binlog file begins. */
export interface FileHeaderQuestion {
  readonly kind: 'FileHeader';
  readonly member: string;
  readonly incarnation: string;
  readonly file: string;
}
/** BINLOG_GTID_POS(file, position). */
export interface GtidAtQuestion {
  readonly kind: 'GtidAt';
  readonly member: string;
  readonly incarnation: string;
  readonly at: Coordinates;
}
/** Would this member accept a replica at this position, strictly, and where would it begin? */
export interface RehearsalQuestion {
  readonly kind: 'Rehearsal';
  readonly member: string;
  readonly incarnation: string;
  /** Position text as a replica would send it. */
  readonly gtid: string;
}
/** The transactions of a member's binlog from one place up to another (which must exist when asked), or only the first. */
export interface WalkQuestion {
  readonly kind: 'Walk';
  readonly member: string;
  readonly incarnation: string;
  readonly from: Coordinates;
  readonly through: Coordinates;
  readonly firstOnly: boolean;
}
/** What a replica at this position would be sent by another one until it stands at `upTo`. */
export interface SpanQuestion {
  readonly kind: 'Span';
  readonly pod: string;
  readonly incarnation: string;
  /** Position texts. */
  readonly from: string;
  readonly upTo: string;
}
/** Whether the binlog files that a dead member left behind have everything between two places. */
export interface FilesQuestion {
  readonly kind: 'Files';
  readonly member: string;
  /** Of the history that the replica followed. */
  readonly lineage: string;
  readonly serverId: number;
  /** Position texts. */
  readonly from: string;
  readonly upTo: string;
}
/** The content of one transaction, from a member's binlog or from a replica's own. */
export interface TransactionQuestion {
  readonly kind: 'Transaction';
  readonly server: { readonly member: string } | { readonly pod: string };
  readonly incarnation: string;
  readonly gtid: string;
  /** With its statement, for people. Such an answer is never compared: what comes with it differs between servers. */
  readonly stated?: true;
}
/** What a replica's own binlog has in one domain after one transaction, or from the beginning of that domain (null). */
export interface LoggedQuestion {
  readonly kind: 'Logged';
  readonly pod: string;
  readonly incarnation: string;
  readonly domain: number;
  readonly after: string | null;
  /** Its position when it was asked: it logs more as it goes on. */
  readonly upTo: string;
}
/** What a replica was sent first since it connected last, as long as its relay log still shows it. */
export interface RelayedQuestion {
  readonly kind: 'Relayed';
  readonly pod: string;
  readonly incarnation: string;
  /** The transaction that it is asked because of: an answer from before is not one. */
  readonly because: string;
}
/** What a replica with a stopped SQL thread would apply next from its relay log. */
export interface RelayNextQuestion {
  readonly kind: 'RelayNext';
  readonly pod: string;
  readonly incarnation: string;
  /** Where its SQL thread stands, in the binlog of the server that it received from. */
  readonly at: Coordinates;
}
/**
 * Whether a whole transaction waits in a replica's relay log behind the place that is applied. A half one, cut by the crash
 * of its source, waits there for ever; by file and position, with parallel workers, nothing else tells the two apart.
 */
export interface RelayRestQuestion {
  readonly kind: 'RelayRest';
  readonly pod: string;
  readonly incarnation: string;
  readonly applied: Coordinates;
  readonly received: Coordinates;
}
/** The last transaction that a replica wrote itself to one table, as far back as its own binlog is read. */
export interface OwnWritesQuestion {
  readonly kind: 'OwnWrites';
  readonly pod: string;
  readonly incarnation: string;
  readonly serverId: number;
  /** `database.table` */
  readonly table: string;
  /** The value of the key that collides, as the server prints it; null: it did not say. */
  readonly key: string | null;
  readonly failedAt: Coordinates;
}
/** The rows of the event over which an applier stopped, as the server that it came from logged it. */
export interface FailedRowsQuestion {
  readonly kind: 'FailedRows';
  readonly member: string;
  readonly incarnation: string;
  /** `database.table` */
  readonly table: string;
  /** The beginning of the transaction. */
  readonly from: Coordinates;
  /** Where the event ends. */
  readonly end: number;
}
/** A look at this target that began after `after` (monotonic ms): an accusation is asked again before it is made. */
export interface LiveLookQuestion {
  readonly kind: 'LiveLook';
  readonly target: { readonly member: string } | { readonly pod: string } | 'vip';
  readonly after: number;
}

export interface FileHeader {
  /** Wall clock ms of the Format_description event. */
  readonly createdAt: number;
  /** Whether the file was begun by a server start, and not by a rotation. */
  readonly byServerStart: boolean;
  readonly encrypted: boolean;
  /** The state before this file: everything that the server had logged. */
  readonly gtidList: GtidState;
}

export type Rehearsal =
  | { readonly accepted: true; readonly at: Coordinates; readonly next: Gtid | null }
  | { readonly accepted: false; readonly errno: number; readonly text: string };

export interface WalkedTransaction {
  readonly gtid: Gtid;
  readonly at: Coordinates;
  /** Wall clock ms (whole seconds) at which it was first committed. */
  readonly timestamp: number;
  readonly bytes: number;
  /** The tables whose rows it changes; null where not all of it is logged as rows. */
  readonly tables: readonly string[] | null;
}
export interface Walk {
  readonly transactions: readonly WalkedTransaction[];
  /** Not null: the walk was cut at a bound and proves nothing about what follows. */
  readonly truncated: 'bytes' | 'time' | null;
}

/** Transactions of one server in one domain whose numbers follow one another. */
export interface Run {
  readonly domain: number;
  readonly serverId: number;
  readonly first: bigint;
  readonly last: bigint;
}
export type Span =
  | {
      readonly accepted: true;
      /** In the order of the binlog. */
      readonly runs: readonly Run[];
      /** Not null: it was cut at a bound and says nothing about what follows. */
      readonly truncated: 'bytes' | 'time' | 'runs' | null;
    }
  | { readonly accepted: false; readonly errno: number; readonly text: string };

export type FilesAnswer =
  | {
      readonly accepted: true;
      readonly transactions: number;
      readonly bytes: number;
      /** What had survived at each start of their server in what is read; absent: it did not start there. */
      readonly starts?: readonly GtidState[];
    }
  | { readonly accepted: false; readonly why: string };

export interface TransactionContent {
  /** Null: this server's binlog does not have it. */
  readonly found: {
    readonly timestamp: number;
    /** Contents of different kinds cannot be compared: rows with rows, statements with statements. */
    readonly kind: string;
    readonly digest: string;
    /** For people: tables, statements, first bytes. */
    readonly summary: string;
    /** For people: its first statement, without values; absent: it was not logged. */
    readonly statement?: string;
    readonly bytes: number;
    /** The tables whose rows it changes, with their column types as logged. */
    readonly tables: readonly { readonly name: string; readonly types: string }[];
  } | null;
}

export interface FailedRows {
  readonly count: number;
  /** The primary keys of the first ones, with `-` between the values of several columns. */
  readonly keys: readonly string[];
}

export interface OwnWrite {
  readonly gtid: Gtid;
  /** Wall clock ms (whole seconds). */
  readonly timestamp: number;
  /** Whether it wrote the very key, and not only to the table. */
  readonly wroteKey: boolean;
  /** For people: the statement, without the values that it writes. */
  readonly statement: string;
}

export interface Answers {
  FileHeader: FileHeader;
  /** Null: not a place in this server's binlog. */
  GtidAt: GtidPosition | null;
  Rehearsal: Rehearsal;
  Walk: Walk;
  Span: Span;
  Files: FilesAnswer;
  Transaction: TransactionContent;
  /** Null: its binlog does not have the one, or too much after it. */
  Logged: readonly Gtid[] | null;
  /** Null: its relay log begins with none. */
  Relayed: Gtid | null;
  /** Null: none stands there. */
  RelayNext: Gtid | null;
  RelayRest: 'Whole' | 'Half';
  /** Null: there is none. */
  OwnWrites: OwnWrite | null;
  /** Null: they cannot be told (statements, no primary key, or one of dates). */
  FailedRows: FailedRows | null;
  LiveLook: true;
}

/** Answers so far, by question. Only `observe/evidence.ts` writes one; the domain reads. */
export type Evidence = ReadonlyMap<string, Fact<Answers[Question['kind']]>>;

export function questionKey(question: Question): string {
  return JSON.stringify(question, Object.keys(flatten(question)).sort());
}

function flatten(value: object): Record<string, true> {
  const keys: Record<string, true> = {};
  for (const [key, inner] of Object.entries(value)) {
    keys[key] = true;
    if (typeof inner === 'object' && inner !== null) Object.assign(keys, flatten(inner));
  }
  return keys;
}

/** The answer to one question: unknown `NotAskedYet` until it was asked. */
export function answerTo<Q extends Question>(evidence: Evidence, question: Q): Fact<Answers[Q['kind']]> {
  return (evidence.get(questionKey(question)) as Fact<Answers[Q['kind']]> | undefined) ?? NOT_ASKED_YET;
}
