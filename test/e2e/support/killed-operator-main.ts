// The operator, which sends itself a signal right before or after a statement: a death, or a freeze, at this boundary.
import { readOperatorConfig, systemSource } from '../../../src/config.ts';
import { systemClock } from '../../../src/clock.ts';
import { runOperator } from '../../../src/operator/operator.ts';
import { runService } from '../../../src/ops/lifecycle.ts';
import { createLogger } from '../../../src/ops/log.ts';
import { createSecrets } from '../../../src/ops/secrets.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import type { SqlConnect, SqlSession } from '../../../src/sql/port.ts';

/** `SIGKILL before STOP SLAVE`: from SIGUSR2 on, at the first statement that begins so. */
const [signal = '', when = '', ...words] = (process.env['SIGNAL_AT'] ?? '').split(' ');
const beginning = words.join(' ');
let armed = process.env['ARMED'] === '1';
process.on('SIGUSR2', () => {
  armed = true;
});

const connect: SqlConnect = async (target, options) => watched(await connectSql(target, options));

function watched(session: SqlSession): SqlSession {
  return new Proxy(session, {
    get(real, property) {
      if (property === 'query') return async (...args: Parameters<SqlSession['query']>) => query(real, args);
      const value: unknown = Reflect.get(real, property, real);
      return typeof value === 'function' ? value.bind(real) : value;
    },
  });
}

async function query(session: SqlSession, args: Parameters<SqlSession['query']>): ReturnType<SqlSession['query']> {
  const isTheOne = armed && args[0].startsWith(beginning);
  if (isTheOne && when === 'before') hit();
  const rows = await session.query(...args);
  if (isTheOne && when === 'after') hit();
  return rows;
}

function hit(): void {
  armed = false;
  process.kill(process.pid, signal);
}

const config = readOperatorConfig([], systemSource());
const log = createLogger({ level: config.logLevel, clock: systemClock, secrets: createSecrets() });
process.exitCode = await runService((end) => runOperator(config, { log, connect, signal: end }), {
  events: process,
  exit: (code) => process.exit(code),
  clock: systemClock,
  log,
  graceMs: 9_500,
});
