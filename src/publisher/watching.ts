import { networkInterfaces } from 'node:os';
import type { Clock } from '../clock.ts';
import type { PublisherConfig } from '../config.ts';
import { startLoop } from '../observe/loop.ts';
import type { Logger } from '../ops/log.ts';
import type { SqlConnect, SqlTarget } from '../sql/port.ts';
import { createDatabase } from './database.ts';
import type { PublisherJournal } from './journal.ts';
import type { PublisherState } from './state.ts';
import { createState } from './state.ts';
import type { VipWatch, VipWatchOptions } from './vip.ts';
import { watchVip } from './vip.ts';

export interface WatchingOptions {
  readonly config: PublisherConfig;
  readonly connect: SqlConnect;
  readonly machineId: string;
  readonly journal: Pick<PublisherJournal, 'append' | 'latest'>;
  /** Default: those of this host. */
  readonly interfaces?: VipWatchOptions['interfaces'];
  /** After each look. */
  readonly onBeat: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Watching {
  readonly state: PublisherState;
  readonly stop: () => void;
}

/**
 * How long a promotion may take after the VIP came, and how often the database is looked at meanwhile: as long as it takes
 * something in, a look after that and before its first own transaction is the takeover record; then the promotion needs the
 * processor more.
 */
const PROMOTION_MS = 10_000;
const TAKING_IN_EVERY_MS = 10;
const PROMOTING_EVERY_MS = 25;

/** Looks at the interfaces and at the database, again and again, and at the database at once when the VIP moves. */
export function startWatching(options: WatchingOptions): Watching {
  const { config, connect, machineId, journal, clock, log } = options;
  const { member, intervalMs, timeoutMs, dataDirectory } = config;
  let vip: VipWatch | null = null;
  let wake = (): void => undefined;
  let stopped = false;
  let gainedAt = Number.NEGATIVE_INFINITY;
  const state = createState({ member, machineId, journal, vipHeld: () => vip?.held() ?? null, clock, log });
  const target = (): SqlTarget => targetOf(config, log);
  const onLost = (): void => wake();
  const database = createDatabase({ target, connect, timeoutMs, dataDirectory, clock, log, onLost });
  vip = watchVip({
    address: config.vip,
    interfaces: options.interfaces ?? networkInterfaces,
    fifo: config.notifyFifo,
    clock,
    log,
    onChange: vipChanged,
  });
  const loop = startLoop({ look, pauseMs });
  wake = () => loop.wake();
  return { state, stop };

  /**
   * The interfaces are asked before and after: a client can write through the VIP as soon as it is there, so only a
   * look that ended without it is a look at a standby.
   */
  async function look(): Promise<void> {
    const before = vip?.check() ?? null;
    const fact = await database.look();
    // Its end was ours, and says nothing of the database.
    if (stopped) return;
    const after = vip?.check() ?? null;
    state.sawDatabase(fact, before === after ? after : before === null || after === null ? null : true);
    options.onBeat();
  }

  function pauseMs(): number {
    const promoting = clock.monotonicMs() - gainedAt < PROMOTION_MS && state.awaitsOwn();
    if (!promoting) return intervalMs;
    return Math.min(state.isTakingIn() ? TAKING_IN_EVERY_MS : PROMOTING_EVERY_MS, intervalMs);
  }

  function vipChanged(held: boolean | null): void {
    gainedAt = held === true ? clock.monotonicMs() : Number.NEGATIVE_INFINITY;
    log.info('the VIP has changed', { vip: config.vip, held });
    state.sawVip();
    wake();
  }

  function stop(): void {
    stopped = true;
    loop.stop();
    vip?.stop();
    database.close();
  }
}

function targetOf({ database }: PublisherConfig, log: Logger): SqlTarget {
  const { host, port, socketPath, user, tls } = database;
  const password = database.password();
  log.secrets.add(password);
  return {
    name: 'the database of this host',
    host,
    port,
    ...(socketPath === null ? {} : { socketPath }),
    user,
    password,
    tls,
  };
}
