import { type Hash, createHash } from 'node:crypto';
import { formatGtid, formatState, sameGtid, seqIn, stateOf, type Gtid } from '../../domain/gtid.ts';
import type { Coordinates } from '../../domain/observation.ts';
import { parseRotate } from './bodies.ts';
import { EVENT } from './event.ts';
import type { Broken, FileEvent } from './file-events.ts';
import type { FileHead } from './files.ts';
import { GroupTracker } from './group.ts';
import {
  type BinlogRange,
  type RangeAnswer,
  type RangePart,
  type RangeQuestion,
  type RangeRefusal,
  newestOf,
} from './range.ts';

interface Counted {
  readonly at: Coordinates;
  readonly hash: Hash;
  transactions: number;
  bytes: number;
  /** Where the first transaction after `at` begins; null: none came yet. */
  next: Coordinates | null;
}

/** Reads files in their order, from one before the replica's position on, and knows when it has seen all that is asked for. */
export class RangeScan {
  readonly #question: RangeQuestion;
  readonly #parts: (RangePart & { to: number })[] = [];
  #tracker = new GroupTracker();
  #state = new Map<number, Map<number, bigint>>();
  #newest = new Map<number, Gtid>();
  /** The replica stands there. */
  #start: Counted | null = null;
  #open: { readonly at: Coordinates; readonly hash: Hash | null; bytes: number } | null = null;
  /** Of the file before: what it ends with. */
  #endsWith: string | null = null;
  #broken: Broken | null = null;
  #answer: RangeAnswer | null = null;

  constructor(question: RangeQuestion) {
    this.#question = question;
  }

  /** Not null: nothing more is to be read. */
  get answer(): RangeAnswer | null {
    return this.#answer;
  }

  get #file(): FileHead | undefined {
    return this.#parts.at(-1)?.head;
  }

  beginFile(head: FileHead): void {
    const before = this.#file;
    const state = stateOf(head.before);
    if (head.serverId !== this.#question.serverId) {
      return this.#refuse(
        'OtherLineage',
        `${head.name} was written by a server with the id ${head.serverId}, not ${this.#question.serverId}`,
      );
    }
    if (before === undefined) {
      this.#state = new Map([...state].map(([domain, servers]) => [domain, new Map(servers)]));
      this.#newest = newestOf(head.before);
    } else if (formatState(state) !== formatState(this.#state)) {
      const ends = `${before.name} ends with ${formatState(this.#state) || 'nothing'}${howBroken(this.#broken)}`;
      const message = `${head.name} begins after ${formatState(state) || 'nothing'}, and ${ends}: something between them is missing`;
      return this.#refuse(this.#broken === null ? 'Incomplete' : 'Damaged', message);
    } else if (this.#endsWith !== head.name && !head.format.byServerStart) {
      return this.#refuse(
        'Incomplete',
        `${before.name} does not end by going on to ${head.name}, which was no start of the server either`,
      );
    }
    this.#parts.push({ head, from: head.end, to: head.end });
    this.#tracker = new GroupTracker();
    this.#endsWith = null;
    this.#open = null;
    if (before === undefined) this.#look({ file: head.name, position: head.end });
  }

  take({ at, bytes, event }: FileEvent): void {
    const file = this.#file?.name ?? '';
    const end = { file, position: at + bytes.length };
    try {
      const place = this.#tracker.take(event);
      if (place.kind === 'between') {
        if (event.type === EVENT.Rotate) this.#endsWith = parseRotate(event.body).file;
        return;
      }
      if (place.begins) this.#begin({ file, position: at });
      this.#count(bytes);
      if (place.ends) this.#end(place.group.gtid, event.serverId, end);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#refuse('Damaged', `${file} at ${at}: ${error.message}`);
    }
  }

  endFile(broken: Broken | null): void {
    this.#broken = broken;
  }

  /** No further file follows. */
  endOfFiles(): void {
    if (this.#answer !== null) return;
    const seen = [...this.#newest.values()].map(formatGtid).join(',') || 'nothing';
    const sought = this.#start === null ? 'the position of the replica' : 'the place up to which it is to be filled';
    const end = `${this.#file?.name ?? 'the first one'} ends there${howBroken(this.#broken)}`;
    const reason = this.#broken?.kind === 'damaged' ? 'Damaged' : 'NotThere';
    this.#refuse(reason, `the binlog files go up to ${seen} and do not have ${sought}: ${end}`);
  }

  #begin(at: Coordinates): void {
    const start = this.#start;
    if (start !== null && start.next === null) start.next = at;
    this.#open = { at, hash: start?.hash.copy() ?? null, bytes: 0 };
  }

  #count(bytes: Buffer): void {
    if (this.#open === null) return;
    this.#open.hash?.update(bytes);
    this.#open.bytes += bytes.length;
  }

  #end({ domain, seq }: Gtid, serverId: number, at: Coordinates): void {
    const gtid = { domain, serverId, seq };
    const before = seqIn(this.#state, gtid);
    if (before !== undefined && before >= seq) {
      throw new RangeError(`${formatGtid(gtid)} comes after ${formatGtid({ ...gtid, seq: before })}`);
    }
    // The replica has this domain up to somewhere further on, so it does not stand here.
    if (!this.#newest.has(domain) && this.#question.from.has(domain)) this.#start = null;
    const servers = this.#state.get(domain) ?? new Map<number, bigint>();
    this.#state.set(domain, servers.set(serverId, seq));
    this.#newest.set(domain, gtid);
    const part = this.#parts.at(-1);
    if (part !== undefined) part.to = at.position;
    const open = this.#open;
    this.#open = null;
    if (this.#start !== null && open?.hash != null) {
      const { transactions, bytes, at: from, next } = this.#start;
      this.#start = { at: from, next, hash: open.hash, transactions: transactions + 1, bytes: bytes + open.bytes };
    }
    this.#look(at);
  }

  /** Between two groups. The last place that fits the replica counts: before it a domain may not have begun. */
  #look(at: Coordinates): void {
    const { from, until } = this.#question;
    if (this.#isAt(from)) {
      this.#start = { at, hash: createHash('sha256'), transactions: 0, bytes: 0, next: null };
    }
    if (!this.#isAt(until)) return;
    if (this.#start === null) {
      return this.#refuse(
        'NotThere',
        'the replica is not at a place of these files before the one up to which it is to be filled',
      );
    }
    this.#finish(this.#start, at);
  }

  #isAt(position: RangeQuestion['from']): boolean {
    const { from, until } = this.#question;
    // What both have and these files do not came from somewhere else: another channel, or another member.
    const others = [...position.keys()].every(
      (domain) => this.#newest.has(domain) || sameGtid(from.get(domain), until.get(domain)),
    );
    return others && [...this.#newest].every(([domain, gtid]) => sameGtid(position.get(domain), gtid));
  }

  #finish(start: Counted, end: Coordinates): void {
    const { from, until } = this.#question;
    const { at, transactions, bytes, hash, next } = start;
    const first = this.#parts.findIndex(({ head }) => head.name === at.file);
    const parts = this.#parts.slice(first).map((part, index) => (index === 0 ? { ...part, from: at.position } : part));
    const digest = hash.digest('hex');
    const range: BinlogRange = { parts, start: at, next, end, from, until, transactions, bytes, digest };
    this.#answer = { kind: 'Range', range };
  }

  #refuse(reason: RangeRefusal, message: string): void {
    this.#answer = { kind: 'Refused', reason, message };
  }
}

function howBroken(broken: Broken | null): string {
  if (broken === null) return '';
  return ` (${broken.kind === 'torn' ? 'cut' : 'damaged'} at ${broken.at}: ${broken.detail})`;
}
