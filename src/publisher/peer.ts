import type { Coordinates, PublishedPeer } from '../api/publisher.ts';
import { sleep } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { MxrError } from '../errors.ts';
import type { Logger } from '../ops/log.ts';
import { fetchCoordinates, followEvents, openConnections } from './client.ts';
import type { PublisherConnections, PublisherTarget } from './client.ts';

export interface FollowPeerOptions {
  readonly target: PublisherTarget;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly onSeen: (peer: PublishedPeer) => void;
}

const POLL_EVERY_MS = 1_000;
const POLL_DEADLINE_MS = 2_000;

/** Asks the peer's publisher once a second, and hears its events, until the signal aborts. */
export function followPeer(options: FollowPeerOptions): void {
  const { target, clock, signal, onSeen } = options;
  const reachable = createReachable(options);
  let events = 0;

  function see(seen: Coordinates): void {
    const peer = peerOf(seen, clock);
    if (peer !== null) onSeen(peer);
  }

  async function poll(connections: PublisherConnections): Promise<void> {
    const before = events;
    try {
      const seen = await fetchCoordinates(target, { deadlineMs: POLL_DEADLINE_MS, signal, connections });
      reachable(null);
      // An answer that was under way when an event came may have the older news.
      if (events === before && !signal.aborted) see(seen);
    } catch (error) {
      if (!(error instanceof MxrError)) throw error;
      if (!signal.aborted) reachable(error);
    }
  }

  async function keepPolling(): Promise<void> {
    const connections = openConnections();
    while (!signal.aborted) {
      await poll(connections);
      await sleep(POLL_EVERY_MS, signal);
    }
    connections.close();
  }

  function onEvent(seen: Coordinates): void {
    events += 1;
    see(seen);
  }

  void keepPolling();
  // What it says of the connection the poll says, too.
  followEvents(target, { clock, signal, onEvent, onState: () => undefined });
}

/**
 * `observedAt` is by the clock of this host, as everything in its journal is: the two clocks may differ by hours, and
 * the age is what the peer measured by one that nobody sets. Null: the peer has not seen its own database.
 */
export function peerOf(seen: Coordinates, clock: Clock): PublishedPeer | null {
  const { member, identity, file, position, gtidBinlogPos, vipHeld, monotonicAgeMs } = seen;
  if (identity === null || monotonicAgeMs === null) return null;
  const { serverId, serverUid, startedAt } = identity;
  const observedAt = new Date(Math.max(0, clock.wallMs() - monotonicAgeMs)).toISOString();
  return { member, serverId, serverUid, startedAt, file, position, gtidBinlogPos, vipHeld, observedAt };
}

/** Says changes only. */
function createReachable({ target, log }: FollowPeerOptions): (error: MxrError | null) => void {
  let said: string | null = null;
  return (error) => {
    const now = error === null ? '' : error.code;
    if (now === said) return;
    if (error !== null) log.warn('the publisher of the peer cannot be read', { peer: target.name, error });
    else log.info('the publisher of the peer answers', { peer: target.name });
    said = now;
  };
}
