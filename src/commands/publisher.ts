import { systemClock } from '../clock.ts';
import { describePublisherConfig, readPublisherConfig } from '../config.ts';
import type { PublisherConfig } from '../config.ts';
import { errorText } from '../errors.ts';
import { runService } from '../ops/lifecycle.ts';
import { createLogger } from '../ops/log.ts';
import { createSecrets } from '../ops/secrets.ts';
import type { CommandIo } from './io.ts';

/** The contract gives 10 s from SIGTERM to the end of the process; what is left is for the process itself. */
const GRACE_MS = 9_500;

export async function publisher(args: readonly string[], io: CommandIo): Promise<number> {
  if (args.includes('--help')) {
    io.out(HELP);
    return 0;
  }
  let config: PublisherConfig;
  try {
    config = readPublisherConfig(args, io.source);
  } catch (error) {
    io.err(`mxr publisher: ${errorText(error)}\nmxr publisher --help lists every setting\n`);
    return 2;
  }
  return start(config, io);
}

async function start(config: PublisherConfig, io: CommandIo): Promise<number> {
  // Loaded late: `--help` and a wrong setting need nothing of it.
  const { runPublisher } = await import('../publisher/publisher.ts');
  const { connectSql } = await import('../sql/connection.ts');
  const log = createLogger({ level: config.logLevel, clock: systemClock, secrets: createSecrets() });
  for (const secret of [config.token, config.peer?.token, config.database.password()]) log.secrets.add(secret ?? '');
  log.info('starting', { config: shown(config) });
  return runService((signal) => runPublisher(config, { log, connect: connectSql, signal }), {
    events: io.events,
    exit: io.exit,
    clock: systemClock,
    log,
    graceMs: GRACE_MS,
  });
}

/** The settings without anything secret, and without whole certificates. */
function shown({ database, token: _token, peer, ...rest }: PublisherConfig): object {
  const { host, port, socketPath, user, tls } = database;
  const at = socketPath === null ? { host, port } : { socketPath };
  return { ...rest, database: { ...at, user, tlsMode: tls.mode }, peer: peer?.url ?? null };
}

const HELP = `mxr publisher runs beside each MariaDB of the pair until SIGTERM or SIGINT, and publishes what it sees there.

usage: mxr publisher [--flag value]...

Every setting is a flag or a variable; the flag wins. An unknown or malformed one is an error. The password of the
database comes from a file or from the environment.

${describePublisherConfig()}`;
