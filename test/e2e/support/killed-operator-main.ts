// The operator, which kills itself with SIGKILL right before or after a statement: a death at exactly this boundary.
import { readOperatorConfig, systemSource } from '../../../src/config.ts';
import { systemClock } from '../../../src/clock.ts';
import { runOperator } from '../../../src/operator/operator.ts';
import { runService } from '../../../src/ops/lifecycle.ts';
import { createLogger } from '../../../src/ops/log.ts';
import { createSecrets } from '../../../src/ops/secrets.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import type { SqlConnect, SqlSession } from '../../../src/sql/port.ts';

/** `before STOP SLAVE`: from the signal SIGUSR2 on, the first statement that begins so is the last. */
const [when = '', ...words] = (process.env['KILLED_AT'] ?? '').split(' ');
const beginning = words.join(' ');
let armed = false;
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
  if (isTheOne && when === 'before') process.kill(process.pid, 'SIGKILL');
  const rows = await session.query(...args);
  if (isTheOne && when === 'after') process.kill(process.pid, 'SIGKILL');
  return rows;
}

const config = readOperatorConfig([], systemSource());
const log = createLogger({ level: config.logLevel, clock: systemClock, secrets: createSecrets() });
process.exitCode = await runService((signal) => runOperator(config, { log, connect, signal }), {
  events: process,
  exit: (code) => process.exit(code),
  clock: systemClock,
  log,
  graceMs: 9_500,
});
