import { systemClock } from '../clock.ts';
import { describeConfig, readOperatorConfig } from '../config.ts';
import type { OperatorConfig } from '../config.ts';
import { errorText } from '../errors.ts';
import { runService } from '../ops/lifecycle.ts';
import { createLogger } from '../ops/log.ts';
import { createSecrets } from '../ops/secrets.ts';
import type { CommandIo } from './io.ts';

/** The contract gives 10 s from SIGTERM to the end of the process; what is left is for the process itself. */
const GRACE_MS = 9_500;

export async function operator(args: readonly string[], io: CommandIo): Promise<number> {
  if (args.includes('--help')) {
    io.out(HELP);
    return 0;
  }
  let config: OperatorConfig;
  try {
    config = readOperatorConfig(args, io.source);
  } catch (error) {
    io.err(`mxr operator: ${errorText(error)}\nmxr operator --help lists every setting\n`);
    return 2;
  }
  return start(config, io);
}

async function start(config: OperatorConfig, io: CommandIo): Promise<number> {
  // Loaded late: `--help` and a wrong setting need nothing of it.
  const { runOperator } = await import('../operator/operator.ts');
  const { connectSql } = await import('../sql/connection.ts');
  const log = createLogger({ level: config.logLevel, clock: systemClock, secrets: createSecrets() });
  log.info('starting', { config });
  return runService((signal) => runOperator(config, { log, connect: connectSql, signal }), {
    events: io.events,
    exit: io.exit,
    clock: systemClock,
    log,
    graceMs: GRACE_MS,
  });
}

const HELP = `mxr operator runs the operator until SIGTERM or SIGINT.

usage: mxr operator [--flag value]...

Every setting is a flag or a variable; the flag wins. An unknown or malformed one is an error.

${describeConfig()}`;
