import { systemClock } from '../../../src/clock.ts';
import { runService } from '../../../src/ops/lifecycle.ts';
import { createLogger } from '../../../src/ops/log.ts';
import { createSecrets } from '../../../src/ops/secrets.ts';

/** A service for main.test.ts to send signals to: argv[2] says how it behaves, argv[3] is its grace in ms. */
const [behaviour, graceMs] = process.argv.slice(2);
const log = createLogger({ level: 'info', clock: systemClock, secrets: createSecrets() });
const hold = setInterval(() => undefined, 1000);

async function service(signal: AbortSignal): Promise<void> {
  log.info('running');
  if (behaviour === 'reject') throw new Error('lost');
  if (behaviour === 'return') return;
  if (behaviour === 'unhandled') void Promise.reject(new Error('nobody waits'));
  await new Promise<void>((resolve) => {
    if (behaviour === 'hang') return;
    signal.addEventListener('abort', () => resolve());
  });
}

const code = await runService(service, {
  events: process,
  exit: (status) => process.exit(status),
  clock: systemClock,
  log,
  graceMs: Number(graceMs),
});
clearInterval(hold);
process.exit(code);
