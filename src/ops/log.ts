import { pino } from 'pino';
import type { Clock } from '../clock.ts';
import type { LogLevel } from '../config.ts';
import { sanitize } from './sanitize.ts';
import type { Secrets } from './secrets.ts';

/** Data beside a message; an error goes under the key `error`. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * One line of JSON per call. The message is a constant and the data is in the fields, so that lines can be searched.
 * `warn` and `error` are things that a person would act upon. What passes through here cannot show a credential.
 */
export interface Logger {
  trace(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The process ends after this line. */
  fatal(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to every line: `pass`, `resource`. */
  child(fields: LogFields): Logger;
  /** Values that are masked wherever they turn up; shared with every child. */
  readonly secrets: Secrets;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly clock: Clock;
  readonly secrets: Secrets;
  /** Takes one complete line. Absent: standard output, synchronously, so that a line is out before the process ends. */
  readonly write?: (line: string) => void;
}

export function createLogger(options: LogOptions): Logger {
  const { level, clock, secrets, write } = options;
  const destination = write === undefined ? pino.destination({ fd: 1, sync: true }) : { write };
  const sink = pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date(clock.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return loggerOver(sink, secrets, {});
}

function loggerOver(sink: pino.Logger, secrets: Secrets, bound: LogFields): Logger {
  function line(level: LogLevel): (message: string, fields?: LogFields) => void {
    return (message, fields = {}) => {
      if (!sink.isLevelEnabled(level)) return;
      sink[level](safe({ ...bound, ...fields }, secrets), secrets.mask(message));
    };
  }
  return {
    trace: line('trace'),
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    fatal: line('fatal'),
    child: (fields) => loggerOver(sink, secrets, { ...bound, ...fields }),
    secrets,
  };
}

/** Names that pino writes itself; a second one in the same line would hide the first. */
const RESERVED = new Set(['level', 'time', 'message']);

function safe(fields: LogFields, secrets: Secrets): object {
  const renamed = Object.entries(fields).map(([key, value]) => [RESERVED.has(key) ? `${key}_` : key, value]);
  return sanitize(Object.fromEntries(renamed), secrets) as object;
}
