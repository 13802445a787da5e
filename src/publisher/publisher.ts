import { systemClock } from '../clock.ts';
import type { PeerConfig, PublisherConfig } from '../config.ts';
import { errorText } from '../errors.ts';
import { startLoop } from '../observe/loop.ts';
import type { Logger } from '../ops/log.ts';
import { createProgress } from '../ops/progress.ts';
import type { SqlConnect } from '../sql/port.ts';
import type { PublisherTarget } from './client.ts';
import type { PublisherJournal } from './journal.ts';
import { openJournal } from './journal.ts';
import { machineId } from './machine.ts';
import { publisherMetrics } from './metrics.ts';
import { followPeer } from './peer.ts';
import { readPosFiles } from './pos-files.ts';
import type { PublisherServer } from './server.ts';
import { startPublisherServer } from './server.ts';
import type { PublisherState } from './state.ts';
import type { VipWatchOptions } from './vip.ts';
import { startWatching } from './watching.ts';

export interface PublisherParts {
  readonly log: Logger;
  readonly connect: SqlConnect;
  readonly signal: AbortSignal;
  /** Default: those of this host. */
  readonly interfaces?: VipWatchOptions['interfaces'];
  /** Told the port once it listens. */
  readonly onListening?: (port: number) => void;
}

const STUCK_AFTER_MS = 30_000;
const FILES_EVERY_MS = 10_000;

/**
 * `mxr publisher`: looks at the database and the interfaces of its host, keeps what it sees in the journal, and serves it
 * until the signal aborts. It changes nothing.
 */
export async function runPublisher(config: PublisherConfig, parts: PublisherParts): Promise<void> {
  const { log, connect, signal, interfaces } = parts;
  const clock = systemClock;
  // First: a damaged file is to be mended now, and not to be found out during a failover.
  const imported = config.importDirectory === null ? null : await readPosFiles(config.importDirectory);
  const { stateDirectory: directory, journalBytes: maxBytes } = config;
  const journal = await openJournal({ directory, maxBytes, clock, log });
  const progress = createProgress(clock, Math.max(STUCK_AFTER_MS, 4 * (config.intervalMs + config.timeoutMs)));
  const { state, stop } = startWatching({
    config,
    connect,
    machineId: await machineId(),
    journal,
    ...(interfaces === undefined ? {} : { interfaces }),
    onBeat: () => progress.beat(),
    clock,
    log,
  });
  if (imported !== null) state.sawImported(imported);
  const helpers = new AbortController();
  try {
    const server = await serve(config, { state, journal, log, live: () => progress.health() });
    log.info('publishing', { member: config.member, host: config.listen.host, port: server.port });
    try {
      parts.onListening?.(server.port);
      tellOfLoopback(config, log);
      warnOfClearText(config, log);
      followOthers(config, { state, server, log, signal: helpers.signal });
      await aborted(signal);
    } finally {
      await server.close();
    }
  } finally {
    helpers.abort('the publisher ends');
    stop();
    await state.flush();
    await journal.close();
  }
}

interface Serving {
  readonly state: PublisherState;
  readonly journal: PublisherJournal;
  readonly live: Parameters<typeof startPublisherServer>[0]['live'];
  readonly log: Logger;
}

function serve(config: PublisherConfig, { state, journal, live, log }: Serving): Promise<PublisherServer> {
  const { listen, token, tls, binlog } = config;
  const { coordinates, onChange } = state;
  const clock = systemClock;
  const metrics = publisherMetrics({ coordinates, journal, clock, processMetrics: true });
  const answers = { coordinates, journal, onChange, live, metrics };
  return startPublisherServer({ listen, token, tls, binlog, ...answers, clock, log });
}

interface Following {
  readonly state: PublisherState;
  readonly server: PublisherServer;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

function followOthers(config: PublisherConfig, following: Following): void {
  const { token, readToken, peer, member, importDirectory } = config;
  if (token !== null) followToken(token, readToken, following);
  if (importDirectory !== null) importAgain(importDirectory, following);
  if (peer !== null) followTheOther(peer, member, following);
}

function followTheOther(peer: PeerConfig, member: string, { state, log, signal }: Following): void {
  const { url, ca, readToken } = peer;
  let { token } = peer;
  let isSelf = false;
  const target: PublisherTarget = {
    name: 'publisher of the peer',
    url,
    ca,
    get token() {
      token = readToken() ?? token;
      log.secrets.add(token ?? '');
      return token;
    },
  };
  followPeer({
    target,
    clock: systemClock,
    log,
    signal,
    onSeen: (seen) => {
      if (seen.member !== member) return state.sawPeer(seen);
      if (!isSelf) log.warn('the URL of the peer leads to a publisher with the name of this member', { url });
      isSelf = true;
    },
  });
}

/** A token that was changed in its file is asked for from then on. */
function followToken(first: string, readToken: () => string | null, { server, log, signal }: Following): void {
  let token = first;
  every(FILES_EVERY_MS, signal, async () => {
    const now = readToken() ?? token;
    if (now === token) return;
    log.secrets.add(now);
    server.setToken(now);
    token = now;
    log.info('the token was changed');
  });
}

/** The older scripts may still be running beside the publisher. What was read last stays while a file is damaged. */
function importAgain(directory: string, { state, log, signal }: Following): void {
  let trouble: string | null = null;
  every(FILES_EVERY_MS, signal, async () => {
    try {
      state.sawImported(await readPosFiles(directory));
      trouble = null;
    } catch (error) {
      const text = errorText(error);
      if (text !== trouble) log.warn('the positions of older scripts cannot be read', { error });
      trouble = text;
    }
  });
}

function every(ms: number, signal: AbortSignal, look: () => Promise<void>): void {
  const loop = startLoop({ look, pauseMs: () => ms });
  signal.addEventListener('abort', () => loop.stop(), { once: true });
}

const LOOPBACK_URL = /^http:\/\/(localhost|127\.[\d.]+|\[::1\])(:|\/|$)/u;

/** The operator and the other member are not on this host. */
function tellOfLoopback({ token, listen }: PublisherConfig, log: Logger): void {
  if (token !== null) return;
  const why = 'it has no token: set MXR_PUBLISHER_TOKEN_FILE, and a certificate, to let others ask it';
  log.info('listening on loopback only: nobody but this host can ask', { host: listen.host, why });
}

/** A token in clear text can be read, and used, by whoever sees the packets. */
function warnOfClearText({ token, tls, peer, listen }: PublisherConfig, log: Logger): void {
  if (token !== null && tls === null && !/^(127\.|::1$)/u.test(listen.host)) {
    log.warn('the token is sent in clear text: set a certificate, or keep this port inside a network that is trusted');
  }
  if (peer !== null && peer.token !== null && peer.url.startsWith('http:') && !LOOPBACK_URL.test(peer.url)) {
    log.warn('the token is sent to the peer in clear text: use https', { url: peer.url });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
