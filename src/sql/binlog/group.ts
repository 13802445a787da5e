import { type FormatDescription, type GtidEvent, parseFormat, parseGtidEvent, parseQuery } from './bodies.ts';
import { type BinlogEvent, EVENT } from './event.ts';

/** `COMMIT` and what stands before it: database, status variables. A longer one is none. */
const LONGEST_COMMIT = 4096;

/** Whether this event is the last one of its group. */
export function endsGroup(event: BinlogEvent, standalone: boolean, format: FormatDescription | null): boolean {
  switch (event.type) {
    case EVENT.Xid:
    case EVENT.XaPrepare:
      return true;
    case EVENT.ExecuteLoadQuery:
      return standalone;
    case EVENT.Query:
    case EVENT.QueryCompressed:
      return standalone || isCommit(event, format);
    default:
      return false;
  }
}

function isCommit(event: BinlogEvent, format: FormatDescription | null): boolean {
  if (event.body.length > LONGEST_COMMIT) return false;
  return /^(COMMIT|ROLLBACK)$/i.test(parseQuery(event, format?.fixedLength(EVENT.Query) ?? 0).sql);
}

/** Of no transaction, and of no use to a replica: they say how the file itself goes on. */
const BETWEEN: ReadonlySet<number> = new Set([
  EVENT.FormatDescription,
  EVENT.GtidList,
  EVENT.BinlogCheckpoint,
  EVENT.Rotate,
  EVENT.Stop,
]);

/** Where an event stands: between groups, or in one, which it may begin or end. */
export type Place =
  | { readonly kind: 'between' }
  | { readonly kind: 'in'; readonly begins: boolean; readonly ends: boolean; readonly group: GtidEvent };

/** Tells the groups of one file apart; throws where the events are in no order that a server writes. */
export class GroupTracker {
  #format: FormatDescription | null;
  #open: GtidEvent | null = null;

  /** From within a file: with the format that its head describes. */
  constructor(format: FormatDescription | null = null) {
    this.#format = format;
  }

  take(event: BinlogEvent): Place {
    if (event.type === EVENT.FormatDescription) this.#format = parseFormat(event.body);
    if (event.type === EVENT.Gtid) {
      if (this.#open !== null) throw new RangeError('a transaction begins inside another one');
      const group = parseGtidEvent(event);
      this.#open = group;
      return { kind: 'in', begins: true, ends: false, group };
    }
    const group = this.#open;
    if (group === null) {
      if (BETWEEN.has(event.type)) return { kind: 'between' };
      throw new RangeError(`an event of type ${event.type} outside of every transaction`);
    }
    if (BETWEEN.has(event.type)) throw new RangeError(`an event of type ${event.type} inside a transaction`);
    if (event.type === EVENT.Incident) throw new RangeError('the server lost events there (an incident)');
    const ends = endsGroup(event, group.standalone, this.#format);
    if (ends) this.#open = null;
    return { kind: 'in', begins: false, ends, group };
  }
}
