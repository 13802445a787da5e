import { z } from 'zod';
import { MxrError } from '../errors.ts';
import { didYouMean } from '../ops/nearest.ts';

/** What the settings of every command have in common: one row is a variable, a flag that wins over it, a default and a rule. */

/** Where settings come from; injected, so that tests need no real environment. */
export interface ConfigSource {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of a file, or undefined when it cannot be read. */
  readonly readFile: (path: string) => string | undefined;
  readonly hostname: () => string;
}

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface ConfigOption {
  /** The environment variable. */
  readonly name: string;
  /** Empty: there is none. */
  readonly flag: string;
  /** As it is shown; empty: nothing. */
  readonly default: string;
  readonly description: string;
}

interface Option<T> extends ConfigOption {
  readonly schema: z.ZodType<T>;
  /** Set for a secret, whose value is never shown: the flag that it would have, which is refused. */
  readonly refusedFlag?: string;
}

export type ConfigTable = Readonly<Record<string, Option<unknown>>>;
export type SettingsOf<T extends ConfigTable> = { readonly [K in keyof T]: z.output<T[K]['schema']> };

interface Help {
  readonly text: string;
  /** What stands for the default where that is no fixed value. */
  readonly shown?: string;
}

/** Makes rows; the flags leave out what all variables of the command begin with. */
export function rowsOf(prefix: string) {
  return { option, secret };

  function option<T>(name: string, fallback: string, schema: z.ZodType<T>, help: Help): Option<T> {
    const shown = help.shown ?? fallback;
    const flag = flagOf(name);
    return { name, flag, default: shown, description: help.text, schema: schemaOr(fallback, schema) };
  }

  /** From the environment only: every user of a host can read the arguments of its processes. */
  function secret(name: string, help: Help): Option<string> {
    const schema = z.string().max(1_024, { error: 'is longer than 1024 characters' });
    return { ...option(name, '', schema, help), flag: '', refusedFlag: flagOf(name) };
  }

  function flagOf(name: string): string {
    return `--${name.slice(prefix.length).toLowerCase().replaceAll('_', '-')}`;
  }
}

function schemaOr<T>(fallback: string, schema: z.ZodType<T>): z.ZodType<T> {
  return z
    .string()
    .optional()
    .transform((text) => text ?? fallback)
    .pipe(schema as z.ZodType<T, string>);
}

export function wholeNumber(min: number, max: number): z.ZodType<number> {
  const wanted = `a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,9}$/u, { error: `is not ${wanted}` })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error: `is not ${wanted}` });
}

export function oneOf<const T extends readonly string[]>(values: T): z.ZodType<T[number]> {
  return z.enum(values, { error: `is none of ${values.join(', ')}` });
}

export const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/u;

/** Rejects everything it does not know: all that is wrong at once, in one MxrError `ConfigInvalid`. */
export function readSettings<T extends ConfigTable>(
  table: T,
  args: readonly string[],
  env: ConfigSource['env'],
): SettingsOf<T> {
  const problems: string[] = [];
  const rows = Object.values(table);
  const flags = readFlags(args, rows, problems);
  findUnknownVariables(env, rows, problems);
  const values: Record<string, unknown> = {};
  for (const [key, row] of Object.entries(table)) {
    const parsed = parseRow(row, flags, env);
    if ('problem' in parsed) problems.push(parsed.problem);
    else values[key] = parsed.value;
  }
  if (problems.length > 0) throw invalidConfig(problems);
  return values as SettingsOf<T>;
}

function parseRow(
  row: Option<unknown>,
  flags: ReadonlyMap<string, string>,
  env: ConfigSource['env'],
): { readonly value: unknown } | { readonly problem: string } {
  const flagged = flags.get(row.flag);
  // An empty variable is what a template leaves behind when a value is not set; an empty flag was typed.
  const text = flagged ?? (env[row.name] === '' ? undefined : env[row.name]);
  const parsed = row.schema.safeParse(text);
  if (parsed.success) return { value: parsed.data };
  const origin = flagged === undefined ? row.name : row.flag;
  const shown = row.refusedFlag === undefined ? `${JSON.stringify(text?.slice(0, 60))} ` : 'it ';
  return { problem: `${origin}: ${shown}${parsed.error.issues[0]?.message ?? ''}` };
}

/** `--name value` or `--name=value`, each at most once. */
function readFlags(
  args: readonly string[],
  rows: readonly Option<unknown>[],
  problems: string[],
): ReadonlyMap<string, string> {
  const known = rows.map((row) => row.flag).filter((flag) => flag !== '');
  const found = new Map<string, string>();
  for (let index = 0; index < args.length; index += 1) {
    const [flag = '', ...rest] = (args[index] ?? '').split('=');
    if (!flag.startsWith('--')) problems.push(`${flag}: it is not a flag`);
    else if (!known.includes(flag)) {
      const secret = rows.find((row) => row.refusedFlag === flag);
      problems.push(secret === undefined ? unknownFlag(flag, known) : refusedFlag(flag, secret, rows));
      // What follows may be its value, which is not shown; after a secret it is, whatever it looks like.
      if (rest.length === 0 && (secret !== undefined || args[index + 1]?.startsWith('--') === false)) index += 1;
    } else if (found.has(flag)) problems.push(`${flag}: it is given twice`);
    else if (rest.length > 0) found.set(flag, rest.join('='));
    else if (index + 1 < args.length) found.set(flag, args[(index += 1)] ?? '');
    else problems.push(`${flag}: it needs a value`);
  }
  return found;
}

function unknownFlag(flag: string, known: readonly string[]): string {
  return `${flag}: there is no such flag${didYouMean(flag, known)}`;
}

function refusedFlag(flag: string, secret: ConfigOption, rows: readonly ConfigOption[]): string {
  const file = rows.find((row) => row.name === `${secret.name}_FILE`);
  const cure = [...(file === undefined ? [] : [file.name]), secret.name].join(' or ');
  return `${flag}: every user of this host can read the arguments of a process; set ${cure} instead, and change the password that was given here`;
}

/**
 * The kubelet sets such variables for each Service of the namespace: MXR_SERVICE_HOST and MXR_PORT_8080_TCP_ADDR for
 * one with the name `mxr`. They are no settings of ours.
 */
const SERVICE_LINK = /_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/u;
const SERVICE_LINK_VALUE = /^(tcp|udp|sctp):\/\//u;

function findUnknownVariables(env: ConfigSource['env'], rows: readonly Option<unknown>[], problems: string[]): void {
  const known = rows.map((row) => row.name);
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('MXR_') || known.includes(name)) continue;
    if (SERVICE_LINK.test(name) || (name.endsWith('_PORT') && SERVICE_LINK_VALUE.test(value ?? ''))) continue;
    problems.push(`${name}: there is no such setting${didYouMean(name, known)}`);
  }
}

export function invalidConfig(problems: readonly string[]): MxrError {
  return new MxrError({
    operation: 'start',
    target: 'this configuration',
    code: 'ConfigInvalid',
    detail: problems.join('; '),
    retryable: false,
  });
}

/** The rows as tables and help texts show them. */
export function shownOptions(table: ConfigTable): readonly ConfigOption[] {
  return Object.values(table).map(({ name, flag, default: fallback, description }) => ({
    name,
    flag,
    default: fallback,
    description,
  }));
}

/** The settings as `--help` prints them. */
export function describeOptions(options: readonly ConfigOption[]): string {
  const width = Math.max(...options.map((row) => row.flag.length));
  return options
    .map((row) => {
      const fallback = row.default === '' ? '' : ` (default: ${row.default})`;
      return `  ${row.flag.padEnd(width)}  ${row.name}${fallback}\n  ${' '.repeat(width)}  ${row.description}\n`;
    })
    .join('');
}
