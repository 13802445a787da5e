import type { Coordinates } from '../../../src/api/publisher.ts';
import { MxrError } from '../../../src/errors.ts';
import type { PublisherPort } from '../../../src/observe/publisher.ts';
import type { PublisherTarget } from '../../../src/publisher/client.ts';
import { coordinates } from '../publisher/fixture.ts';

export const PUBLISHER: PublisherTarget = {
  name: 'the publisher of a',
  url: 'https://10.0.0.11:9480',
  token: 's3cret',
  ca: null,
};

const IDENTITY = {
  hostname: 'hci-a',
  serverId: 1,
  serverUid: 'uid-a',
  port: 3306,
  datadir: '/var/lib/mysql/',
  startedAt: '2026-03-01T11:00:00.000Z',
  machineId: 'machine-a',
  datadirId: '',
};

export const SAID: Coordinates = coordinates({
  member: 'a',
  identity: IDENTITY,
  gtidBinlogPos: '0-1-9',
  gtidBinlogState: '0-2-4,0-1-9',
  gtidSlavePos: '0-2-4',
  monotonicAgeMs: 40,
});

export const TAKEOVER: NonNullable<Coordinates['takeover']> = {
  at: '2026-03-01T11:30:00.000Z',
  ownFile: 'a-bin.000001',
  ownPosition: 500,
  peerFile: 'b-bin.000007',
  peerPosition: 900,
  gtid: '0-2-4',
  binlogPos: '0-1-3',
  binlogState: '0-2-4,0-1-3',
  peerHost: '10.0.0.12',
  peerServerId: 2,
  usingGtid: true,
  drained: true,
};

export function refusal(detail = 'nobody listens there'): MxrError {
  const call = { operation: 'ask', target: PUBLISHER.name };
  return new MxrError({ ...call, code: 'ConnectionRefused', detail, retryable: true });
}

type Follower = Parameters<PublisherPort['followEvents']>[1];

/** A publisher as its client sees it. Tests change what it says while it is asked. */
export class FakePublisher implements PublisherPort {
  says: Coordinates = SAID;
  /** Null: it answers at once. `silent`: never within the deadline. */
  fails: Error | 'silent' | null = null;
  readonly asked: PublisherTarget[] = [];
  /** Of every stream that was begun, the newest last. */
  readonly streams: { readonly target: PublisherTarget; readonly follower: Follower }[] = [];

  readonly fetchCoordinates: PublisherPort['fetchCoordinates'] = async (target, { deadlineMs, signal }) => {
    this.asked.push(target);
    if (this.fails === 'silent') await silence(deadlineMs, signal);
    else if (this.fails !== null) throw this.fails;
    return this.says;
  };

  readonly followEvents: PublisherPort['followEvents'] = (target, follower) => {
    this.streams.push({ target, follower });
  };

  /** Sends an event on the newest stream. */
  event(change: Partial<Coordinates>): void {
    this.says = { ...this.says, ...change };
    this.streams.at(-1)?.follower.onEvent(this.says);
  }
}

function silence(deadlineMs: number, signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    const timer = setTimeout(() => reject(refusal('no answer')), deadlineMs);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(refusal('it was abandoned'));
    });
  });
}
