import type { PublishedIdentity } from '../../../src/api/publisher.ts';
import type { Link, ServerLook } from '../../../src/domain/observation.ts';
import type { Sighting, Takeover } from '../../../src/publisher/takeover.ts';
import { NO_TAKEOVER, nextTakeover } from '../../../src/publisher/takeover.ts';
import { WALL, link as anyLink, look, position, state } from '../domain/pair-fixture.ts';

/** `b`, a standby of `a` by file and position that does not log what it applies: every test changes one thing of it. */

export const AT = WALL;

export function peerLink(end = 900, change: Partial<Link> = {}): Link {
  const at = { file: 'a-bin.000003', position: end };
  return anyLink({ usingGtid: 'No', gtidIoPos: new Map(), read: at, exec: at, ...change });
}

export function standbyLook(change: Partial<ServerLook> = {}): ServerLook {
  return look('b', 2, {
    logSlaveUpdates: false,
    end: { file: 'b-bin.000001', position: 400 },
    gtidBinlogPos: position('0-2-7'),
    gtidBinlogState: state('0-2-7'),
    gtidSlavePos: position('0-1-100'),
    links: [peerLink()],
    ...change,
  });
}

/** Its own binlog with `seq` as the last own transaction; 7 is from before it was a standby. */
export function wrote(seq: number, end: number): Partial<ServerLook> {
  return {
    end: { file: 'b-bin.000001', position: end },
    gtidBinlogPos: position(`0-2-${seq}`),
    gtidBinlogState: state(`0-2-${seq}`),
  };
}

/** What a peer's transactions change; `end` is where the peer's binlog was applied to. */
export function applied(seq: number, end: number): Partial<ServerLook> {
  return { gtidSlavePos: position(`0-1-${seq}`), links: [peerLink(end)] };
}

export const IDENTITY: PublishedIdentity = {
  ...standbyLook().identity,
  startedAt: new Date(standbyLook().identity.startedAt).toISOString(),
  machineId: 'machine-b',
  datadirId: 'datadir-b',
};

export interface Seen extends Partial<ServerLook> {
  readonly vip?: boolean | null;
  readonly as?: Partial<PublishedIdentity>;
}

/** Looks, one after the other, a second apart. */
export function after(looks: readonly Seen[], before: Takeover = NO_TAKEOVER): Takeover {
  return looks.reduce((takeover, { vip = false, as = {}, ...change }, index) => {
    const sighting: Sighting = {
      look: standbyLook({ ...change }),
      identity: { ...IDENTITY, ...as },
      vipHeld: vip,
      at: AT + 1000 * index,
    };
    return nextTakeover(takeover, sighting);
  }, before);
}

/** `own end / applied end`, or why there is no record. */
export function summary({ record, missing }: Takeover): string {
  if (record === null) return missing ?? '';
  const { end, standby } = record;
  return `${end.position} / ${standby?.applied.file === '' ? 'unknown' : standby?.applied.position}`;
}
