import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import type { Logger } from './log.ts';

/** The process as far as it is needed here; `process` itself fits. */
export interface ProcessEvents {
  on(
    event: 'SIGTERM' | 'SIGINT' | 'unhandledRejection' | 'uncaughtException',
    listener: (value: unknown) => void,
  ): unknown;
}

export interface LifecycleOptions {
  readonly events: ProcessEvents;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
  readonly clock: Clock;
  readonly log: Logger;
  /** From the first signal on; the contract gives 10 s to the whole process. */
  readonly graceMs: number;
}

/**
 * A terminal sends Ctrl-C to every process of the group, and a wrapper (npm, bin/mxr.mjs) forwards it once more: two
 * signals so close together are one.
 */
const SAME_SIGNAL_MS = 300;

/**
 * Runs a service until a signal asks it to end, and resolves with the exit code: 0 when it ended because it was asked
 * to, within the grace. A second signal ends the process at once. What nobody caught ends it with 1.
 */
export async function runService(
  run: (signal: AbortSignal) => Promise<void>,
  options: LifecycleOptions,
): Promise<number> {
  const { events, exit, clock, log, graceMs } = options;
  const stopping = new AbortController();
  const ended = new AbortController();
  let askedAtMs: number | undefined;
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    events.on(name, () => {
      const now = clock.monotonicMs();
      if (askedAtMs === undefined) {
        askedAtMs = now;
        log.info('stopping', { signal: name, graceMs });
        stopping.abort();
      } else if (now - askedAtMs > SAME_SIGNAL_MS) {
        log.warn('stopped at once by a second signal', { signal: name });
        exit(name === 'SIGINT' ? 130 : 143);
      }
    });
  }
  for (const name of ['unhandledRejection', 'uncaughtException'] as const) {
    events.on(name, (error) => {
      log.fatal('nobody caught this error', { event: name, error });
      exit(1);
    });
  }
  const finished = run(stopping.signal).then(
    () => (stopping.signal.aborted ? 0 : endedByItself(log)),
    (error: unknown) => {
      log.fatal('the service failed', { error });
      return 1;
    },
  );
  const code = await Promise.race([finished, overdue(stopping.signal, ended.signal, options)]);
  ended.abort();
  if (code === 0) log.info('stopped');
  return code;
}

function endedByItself(log: Logger): number {
  log.error('the service ended without being asked to');
  return 1;
}

/** Resolves when the grace after the first signal is over; never when nobody asked. */
async function overdue(stopping: AbortSignal, ended: AbortSignal, { log, graceMs }: LifecycleOptions): Promise<number> {
  await new Promise<void>((resolve) => {
    stopping.addEventListener('abort', () => resolve(), { once: true });
  });
  await sleep(graceMs, ended);
  if (!ended.aborted) log.error('the service did not end within its grace', { graceMs });
  return 1;
}
