import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';
import { MxrError } from './errors.ts';
import { didYouMean } from './ops/nearest.ts';

/**
 * The only reader of the environment. Every setting of `mxr operator` is one row of OPTIONS: a variable, a flag that
 * wins over it, a default and a rule. Nothing here is a secret: credentials come from Secrets, through the API.
 */

/** Where settings come from; injected, so that tests need no real environment. */
export interface ConfigSource {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of a file, or undefined when it cannot be read. */
  readonly readFile: (path: string) => string | undefined;
  readonly hostname: () => string;
}

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface OperatorConfig {
  /** 0: any free port. */
  readonly httpPort: number;
  /** The namespaces whose resources are served; `*` is the whole cluster. Never an empty list. */
  readonly namespaces: '*' | readonly string[];
  readonly pod: { readonly name: string; readonly uid: string; readonly namespace: string };
  readonly lease: {
    readonly name: string;
    readonly namespace: string;
    readonly durationMs: number;
    readonly renewDeadlineMs: number;
    readonly retryMs: number;
  };
  readonly logLevel: LogLevel;
  /** Of one call of the Kubernetes API. */
  readonly kubeTimeoutMs: number;
  readonly resyncMs: number;
  /** Path of a file; undefined: in-cluster. */
  readonly kubeconfig: string | undefined;
}

export interface ConfigOption {
  /** The environment variable. */
  readonly name: string;
  readonly flag: string;
  /** As it is shown; empty: nothing. */
  readonly default: string;
  readonly description: string;
}

const SERVICE_ACCOUNT_NAMESPACE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';
const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/u;
const DNS_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/u;
/** leader.ts ends the fence at this part of the lease. */
const FENCE_FRACTION = 0.98;

function wholeNumber(min: number, max: number): z.ZodType<number> {
  const wanted = `a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,9}$/u, { error: `is not ${wanted}` })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error: `is not ${wanted}` });
}

const objectName = z.string().regex(DNS_NAME, { error: 'is not the name of a Kubernetes object' });
const namespace = z.string().regex(DNS_LABEL, { error: 'is not the name of a namespace' });

const Namespaces = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()))
  .transform((parts) => (parts.length === 1 && parts[0] === '' ? [] : parts))
  .refine((parts) => (parts.length === 1 && parts[0] === '*') || parts.every((part) => DNS_LABEL.test(part)), {
    error: 'is neither * nor a list of namespaces separated by commas',
  });

interface Option<T> extends ConfigOption {
  readonly schema: z.ZodType<T>;
}

const OPTIONS = {
  httpPort: option('MXR_HTTP_PORT', '8080', wholeNumber(0, 65_535), {
    text: 'Port of /metrics, /livez, /readyz, the status page and its API; 0 takes any free port.',
  }),
  namespaces: option('MXR_NAMESPACES', '', Namespaces, {
    text: 'Namespaces whose resources are served, separated by commas; * is the whole cluster.',
    shown: 'MXR_POD_NAMESPACE',
  }),
  podName: option('MXR_POD_NAME', '', z.union([z.literal(''), objectName]), {
    text: 'Name of this pod; part of the identity in the Lease.',
    shown: 'the host name',
  }),
  podUid: option('MXR_POD_UID', '', z.string().regex(/^[A-Za-z0-9-]{0,64}$/u, { error: 'is not a uid' }), {
    text: 'Uid of this pod; part of the identity in the Lease.',
  }),
  podNamespace: option('MXR_POD_NAMESPACE', '', z.union([z.literal(''), namespace]), {
    text: 'Namespace of this pod.',
    shown: 'that of the service account',
  }),
  leaseName: option('MXR_LEASE_NAME', 'mxr', objectName, {
    text: 'Name of the Lease; operators that serve the same resources share one.',
  }),
  leaseNamespace: option('MXR_LEASE_NAMESPACE', '', z.union([z.literal(''), namespace]), {
    text: 'Namespace of the Lease.',
    shown: 'MXR_POD_NAMESPACE',
  }),
  leaseDurationMs: option('MXR_LEASE_DURATION_MS', '8000', wholeNumber(2000, 300_000), {
    text: 'A leader that did not renew for so long is replaced, and its sessions on the replicas end before that.',
  }),
  leaseRenewDeadlineMs: option('MXR_LEASE_RENEW_DEADLINE_MS', '5000', wholeNumber(1000, 300_000), {
    text: 'A leader that could not renew for so long gives up by itself.',
  }),
  leaseRetryMs: option('MXR_LEASE_RETRY_MS', '1000', wholeNumber(100, 60_000), {
    text: 'How often the leader renews.',
  }),
  logLevel: option('MXR_LOG_LEVEL', 'info', z.enum(LOG_LEVELS, { error: `is none of ${LOG_LEVELS.join(', ')}` }), {
    text: `The lowest level that is logged: ${LOG_LEVELS.join(', ')}.`,
  }),
  kubeTimeoutMs: option('MXR_KUBE_TIMEOUT_MS', '5000', wholeNumber(100, 60_000), {
    text: 'Deadline of one call of the Kubernetes API.',
  }),
  resyncSeconds: option('MXR_RESYNC_SECONDS', '300', wholeNumber(10, 86_400), {
    text: 'How often everything is read again from the Kubernetes API, whatever its watches said.',
  }),
} as const satisfies Record<string, Option<unknown>>;

type Settings = { readonly [K in keyof typeof OPTIONS]: z.output<(typeof OPTIONS)[K]['schema']> };

/** For `--help` and for docs/reference/environment.md. */
export const CONFIG_OPTIONS: readonly ConfigOption[] = [
  ...Object.values(OPTIONS).map(({ name, flag, default: fallback, description }) => ({
    name,
    flag,
    default: fallback,
    description,
  })),
  {
    name: 'KUBECONFIG',
    flag: '',
    default: 'in-cluster',
    description: 'Path of a kubeconfig file; without it the service account of the pod is used.',
  },
];

function option<T>(
  name: string,
  fallback: string,
  schema: z.ZodType<T>,
  help: { readonly text: string; readonly shown?: string },
): Option<T> {
  const flag = `--${name.slice('MXR_'.length).toLowerCase().replaceAll('_', '-')}`;
  return { name, flag, default: help.shown ?? fallback, description: help.text, schema: schemaOr(fallback, schema) };
}

function schemaOr<T>(fallback: string, schema: z.ZodType<T>): z.ZodType<T> {
  return z
    .string()
    .optional()
    .transform((text) => text ?? fallback)
    .pipe(schema as z.ZodType<T, string>);
}

export function systemSource(): ConfigSource {
  return { env: process.env, readFile: readText, hostname };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Rejects everything it does not know: all that is wrong at once, in one MxrError `ConfigInvalid`. */
export function readOperatorConfig(args: readonly string[], source: ConfigSource): OperatorConfig {
  const problems: string[] = [];
  const flags = readFlags(args, problems);
  findUnknownVariables(source.env, problems);
  const settings = parseSettings(flags, source.env, problems);
  if (settings === undefined || problems.length > 0) throw invalid(problems);
  const podNamespace = settings.podNamespace || ownNamespace(source);
  if (podNamespace === '') {
    throw invalid(['MXR_POD_NAMESPACE: it is not set, and there is no service account to take the namespace from']);
  }
  checkLease(settings);
  return assemble(settings, podNamespace, source);
}

function assemble(settings: Settings, podNamespace: string, source: ConfigSource): OperatorConfig {
  const listed = settings.namespaces;
  const kubeconfig = source.env['KUBECONFIG'] ?? '';
  return {
    httpPort: settings.httpPort,
    namespaces: listed[0] === '*' ? '*' : listed.length === 0 ? [podNamespace] : [...new Set(listed)],
    pod: { name: settings.podName || source.hostname(), uid: settings.podUid, namespace: podNamespace },
    lease: {
      name: settings.leaseName,
      namespace: settings.leaseNamespace || podNamespace,
      durationMs: settings.leaseDurationMs,
      renewDeadlineMs: settings.leaseRenewDeadlineMs,
      retryMs: settings.leaseRetryMs,
    },
    logLevel: settings.logLevel,
    kubeTimeoutMs: settings.kubeTimeoutMs,
    resyncMs: settings.resyncSeconds * 1000,
    kubeconfig: kubeconfig === '' ? undefined : kubeconfig,
  };
}

function parseSettings(
  flags: ReadonlyMap<string, string>,
  env: ConfigSource['env'],
  problems: string[],
): Settings | undefined {
  const values: Record<string, unknown> = {};
  for (const [key, row] of Object.entries(OPTIONS)) {
    const flagged = flags.get(row.flag);
    // An empty variable is what a template leaves behind when a value is not set; an empty flag was typed.
    const text = flagged ?? (env[row.name] === '' ? undefined : env[row.name]);
    const parsed = row.schema.safeParse(text);
    if (parsed.success) values[key] = parsed.data;
    else {
      const origin = flagged === undefined ? row.name : row.flag;
      problems.push(`${origin}: ${JSON.stringify(text?.slice(0, 60))} ${parsed.error.issues[0]?.message ?? ''}`);
    }
  }
  return problems.length === 0 ? (values as Settings) : undefined;
}

/** `--name value` or `--name=value`, each at most once. */
function readFlags(args: readonly string[], problems: string[]): ReadonlyMap<string, string> {
  const known = Object.values(OPTIONS).map((row): string => row.flag);
  const found = new Map<string, string>();
  for (let index = 0; index < args.length; index += 1) {
    const [flag = '', ...rest] = (args[index] ?? '').split('=');
    if (!flag.startsWith('--')) problems.push(`${flag}: it is not a flag`);
    else if (!known.includes(flag)) {
      problems.push(`${flag}: there is no such flag${didYouMean(flag, known)}`);
      if (rest.length === 0 && args[index + 1]?.startsWith('--') === false) index += 1;
    } else if (found.has(flag)) problems.push(`${flag}: it is given twice`);
    else if (rest.length > 0) found.set(flag, rest.join('='));
    else if (index + 1 < args.length) found.set(flag, args[(index += 1)] ?? '');
    else problems.push(`${flag}: it needs a value`);
  }
  return found;
}

/**
 * The kubelet sets such variables for each Service of the namespace: MXR_SERVICE_HOST and MXR_PORT_8080_TCP_ADDR for
 * one with the name `mxr`. They are no settings of ours.
 */
const SERVICE_LINK = /_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/u;
const SERVICE_LINK_VALUE = /^(tcp|udp|sctp):\/\//u;

function findUnknownVariables(env: ConfigSource['env'], problems: string[]): void {
  const known = Object.values(OPTIONS).map((row): string => row.name);
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('MXR_') || known.includes(name)) continue;
    if (SERVICE_LINK.test(name) || (name.endsWith('_PORT') && SERVICE_LINK_VALUE.test(value ?? ''))) continue;
    problems.push(`${name}: there is no such setting${didYouMean(name, known)}`);
  }
}

function checkLease(settings: Settings): void {
  const { leaseDurationMs, leaseRenewDeadlineMs, leaseRetryMs } = settings;
  if (leaseDurationMs * FENCE_FRACTION > leaseRenewDeadlineMs && leaseRenewDeadlineMs > 1.2 * leaseRetryMs) return;
  throw invalid([
    `MXR_LEASE_DURATION_MS (${leaseDurationMs}) must be larger than MXR_LEASE_RENEW_DEADLINE_MS ` +
      `(${leaseRenewDeadlineMs}), and that larger than 1.2 x MXR_LEASE_RETRY_MS (${leaseRetryMs})`,
  ]);
}

function ownNamespace(source: ConfigSource): string {
  const text = source.readFile(SERVICE_ACCOUNT_NAMESPACE)?.trim() ?? '';
  return DNS_LABEL.test(text) ? text : '';
}

function invalid(problems: readonly string[]): MxrError {
  return new MxrError({
    operation: 'start',
    target: 'this configuration',
    code: 'ConfigInvalid',
    detail: problems.join('; '),
    retryable: false,
  });
}

/** The settings as `--help` prints them. */
export function describeConfig(): string {
  const width = Math.max(...CONFIG_OPTIONS.map((row) => row.flag.length));
  return CONFIG_OPTIONS.map((row) => {
    const fallback = row.default === '' ? '' : ` (default: ${row.default})`;
    return `  ${row.flag.padEnd(width)}  ${row.name}${fallback}\n  ${' '.repeat(width)}  ${row.description}\n`;
  }).join('');
}
