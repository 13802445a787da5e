import type { Coordinates, JournalEntry, PublishedPeer } from '../api/publisher.ts';
import type { Clock } from '../clock.ts';
import type { Fact } from '../domain/fact.ts';
import { errorText } from '../errors.ts';
import type { Logger } from '../ops/log.ts';
import { NOTHING_IMPORTED, databaseIn, databaseOf, identityOf, publishedTakeover, takeoverIn } from './coordinates.ts';
import type { SeenServer } from './database.ts';
import type { PublisherJournal } from './journal.ts';
import { MISSING_TEXT, nextTakeover } from './takeover.ts';

export interface StateOptions {
  readonly member: string;
  readonly machineId: string;
  readonly journal: Pick<PublisherJournal, 'append' | 'latest'>;
  readonly vipHeld: () => boolean | null;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What the publisher knows, and when that is written into the journal and told to those who listen. */
export interface PublisherState {
  readonly coordinates: () => Coordinates;
  /** `vipHeld`: what the interfaces said around the look. */
  sawDatabase(fact: Fact<SeenServer>, vipHeld: boolean | null): void;
  sawVip(): void;
  sawPeer(peer: PublishedPeer): void;
  sawImported(imported: Coordinates['imported']): void;
  /** Whether the first transaction of its own, after it was a standby, is still to come. */
  awaitsOwn(): boolean;
  /** Whether it still receives, or applies what it received as a standby. */
  isTakingIn(): boolean;
  /** Calls after each change of VIP, role or identity, until the returned function is called. */
  readonly onChange: (listener: () => void) => () => void;
  /** Writes what was not written yet; resolves when it is on the disk. */
  flush(): Promise<void>;
}

type Entry = Omit<JournalEntry, 'seq' | 'at'>;

/** Positions are written at most this often, and none is older than this when it is written. */
const POSITIONS_EVERY_MS = 1_000;

export function createState(options: StateOptions): PublisherState {
  const { member, machineId, journal, clock, log } = options;
  const latest = journal.latest();
  const listeners = new Set<() => void>();
  let database = databaseIn(latest);
  let takeover = takeoverIn(latest);
  let peer = latest?.peer ?? null;
  let imported = NOTHING_IMPORTED;
  let databaseAnswers = false;
  /** Monotonic ms; null: not looked at by this process. */
  let lookedAt: number | null = null;
  /** Nothing is written before the first look: it would only say that nobody has looked. */
  let hasLooked = false;
  let role = latest === null ? '' : roleOf(latest);
  let written = latest === null ? '' : factsOf(latest);
  let writtenAt = Number.NEGATIVE_INFINITY;
  let writing = 0;
  let dueTimer: NodeJS.Timeout | null = null;
  let trouble: string | null = null;

  return { coordinates, sawDatabase, sawVip: settle, sawPeer, sawImported, awaitsOwn, isTakingIn, onChange, flush };

  function entry(): Entry {
    return {
      member,
      databaseAnswers,
      vipHeld: options.vipHeld(),
      ...database,
      takeover: publishedTakeover(takeover.record),
      peer,
      imported,
    };
  }

  function coordinates(): Coordinates {
    const monotonicAgeMs = lookedAt === null ? null : Math.max(0, Math.round(clock.monotonicMs() - lookedAt));
    return { ...entry(), monotonicAgeMs };
  }

  function sawDatabase(fact: Fact<SeenServer>, vipHeld: boolean | null): void {
    hasLooked = true;
    databaseAnswers = fact.known && take(fact.value, fact.at, vipHeld);
    settle();
  }

  /** False: what it says cannot be published, which is no answer. */
  function take(server: SeenServer, at: number, vipHeld: boolean | null): boolean {
    const wallMs = clock.wallMs() - (clock.monotonicMs() - at);
    try {
      database = databaseOf(server, machineId, wallMs);
    } catch (error) {
      complain('what the database says cannot be published', error);
      return false;
    }
    lookedAt = at;
    const before = takeover;
    const identity = identityOf(server, machineId);
    takeover = nextTakeover(before, { look: server.look, identity, vipHeld, at: wallMs });
    // The record is final now, and the look that ends it may be the last one before the host dies.
    if (!before.ownBegun && takeover.ownBegun) write(entry(), true);
    if (before.missing !== takeover.missing) tellRecord();
    return true;
  }

  function tellRecord(): void {
    const { missing } = takeover;
    if (missing === null) log.info('there is a takeover record now');
    else log.info('there is no takeover record', { reason: missing, why: MISSING_TEXT[missing] });
  }

  function sawPeer(seen: PublishedPeer): void {
    peer = seen;
    settle();
  }

  function sawImported(read: Coordinates['imported']): void {
    imported = read;
    settle();
  }

  function awaitsOwn(): boolean {
    const { readOnly, slave } = database;
    return databaseAnswers && (readOnly === true || slave?.applying === true || !takeover.ownBegun);
  }

  function isTakingIn(): boolean {
    const { slave } = database;
    return databaseAnswers && slave !== null && (slave.applying || slave.ioRunning);
  }

  function settle(): void {
    if (!hasLooked) return;
    const now = entry();
    const roleNow = roleOf(now);
    const isChange = roleNow !== role;
    const isNew = factsOf(now) !== written;
    const waitMs = POSITIONS_EVERY_MS - (clock.monotonicMs() - writtenAt);
    role = roleNow;
    if (isChange || (isNew && waitMs <= 0 && writing === 0)) write(now, isChange);
    else if (isNew && waitMs > 0) settleIn(waitMs);
    if (isChange) for (const listener of [...listeners]) listener();
  }

  /** The next look may be later, or never come. */
  function settleIn(ms: number): void {
    dueTimer ??= setTimeout(() => {
      dueTimer = null;
      settle();
    }, ms).unref();
  }

  function write(now: Entry, flush: boolean): void {
    written = factsOf(now);
    writtenAt = clock.monotonicMs();
    writing += 1;
    journal
      .append(now, { flush })
      .then(() => {
        trouble = null;
      })
      .catch((error: unknown) => {
        // Else the same facts would never be tried again.
        written = '';
        complain('the journal cannot be written', error);
      })
      .finally(() => {
        writing -= 1;
        settle();
      });
  }

  function complain(message: string, error: unknown): void {
    const text = errorText(error);
    if (text !== trouble) log.error(message, { error });
    trouble = text;
  }

  function onChange(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  async function flush(): Promise<void> {
    const now = entry();
    if (!hasLooked || factsOf(now) === written) return;
    written = factsOf(now);
    await journal.append(now, { flush: true });
  }
}

function roleOf({ databaseAnswers, vipHeld, identity, readOnly, logSlaveUpdates, slave }: Entry): string {
  const { masterHost, masterServerId, usingGtid, ioRunning, sqlRunning } = slave ?? {};
  const link = slave === null ? null : [masterHost, masterServerId, usingGtid, ioRunning, sqlRunning];
  return keyOf([databaseAnswers, vipHeld, identity, readOnly, logSlaveUpdates, link]);
}

/** Everything but when it was seen. */
function factsOf(entry: Entry): string {
  const { takeover, peer } = entry;
  return keyOf({
    ...entry,
    seq: undefined,
    at: undefined,
    observedAt: undefined,
    takeover: takeover === null ? null : { ...takeover, at: undefined },
    peer: peer === null ? null : { ...peer, observedAt: undefined },
  });
}

/** The same for the same content: what comes back from the journal has its fields in another order. */
function keyOf(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}
