import { isIP } from 'node:net';
import { z } from 'zod';
import type { ConfigOption, ConfigSource, LogLevel, SettingsOf } from './options.ts';
import {
  DNS_LABEL,
  LOG_LEVELS,
  describeOptions,
  invalidConfig,
  oneOf,
  readSettings,
  rowsOf,
  shownOptions,
  wholeNumber,
} from './options.ts';

/** The settings of `mxr operator`. Nothing here is a secret: credentials come from Secrets, through the API. */
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
  /** Where replicas dial this process to be filled from binlog files; null: they are not. */
  readonly fill: { readonly address: string; readonly port: number } | null;
  /** Where what only one replica has is saved; null: nowhere. */
  readonly salvage: { readonly dir: string; readonly tool: string; readonly maxBytes: number } | null;
  /** Path of a file; undefined: in-cluster. */
  readonly kubeconfig: string | undefined;
}

const SERVICE_ACCOUNT_NAMESPACE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';
const DNS_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/u;
/** leader.ts ends the fence at this part of the lease. */
const FENCE_FRACTION = 0.98;

const objectName = z.string().regex(DNS_NAME, { error: 'is not the name of a Kubernetes object' });
const address = z.string().refine((text) => text === '' || (isIP(text) !== 0 && !text.includes('%')), {
  error: 'is not an IP address',
});
const namespace = z.string().regex(DNS_LABEL, { error: 'is not the name of a namespace' });

const Namespaces = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()))
  .transform((parts) => (parts.length === 1 && parts[0] === '' ? [] : parts))
  .refine((parts) => (parts.length === 1 && parts[0] === '*') || parts.every((part) => DNS_LABEL.test(part)), {
    error: 'is neither * nor a list of namespaces separated by commas',
  });

const absolutePath = z.string().regex(/^(\/.{0,1000})?$/u, { error: 'is not an absolute path' });
const program = z.string().regex(/^[A-Za-z0-9/._-]{1,1000}$/u, { error: 'is not the name or path of a program' });

const { option } = rowsOf('MXR_');

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
  podIp: option('MXR_POD_IP', '', address, {
    text: 'Address of this pod, at which replicas reach MXR_FILL_PORT.',
  }),
  fillPort: option('MXR_FILL_PORT', '0', wholeNumber(0, 65_535), {
    text: 'Port at which replicas are handed what they lack out of the binlog files of a dead member (policy.onGap: Fill, with MXR_PUBLISHER_BINLOG on that host); it listens only while a replica is filled. 0: they are not filled from files.',
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
  logLevel: option('MXR_LOG_LEVEL', 'info', oneOf(LOG_LEVELS), {
    text: `The lowest level that is logged: ${LOG_LEVELS.join(', ')}.`,
  }),
  kubeTimeoutMs: option('MXR_KUBE_TIMEOUT_MS', '5000', wholeNumber(100, 60_000), {
    text: 'Deadline of one call of the Kubernetes API.',
  }),
  resyncSeconds: option('MXR_RESYNC_SECONDS', '300', wholeNumber(10, 86_400), {
    text: 'How often everything is read again from the Kubernetes API, whatever its watches said.',
  }),
  salvageDir: option('MXR_SALVAGE_DIR', '', absolutePath, {
    text: 'Directory on a volume of its own: what only one replica has is saved there, with user data in it.',
    shown: 'nothing is saved',
  }),
  salvageMaxMb: option('MXR_SALVAGE_MAX_MB', '1024', wholeNumber(1, 1_048_576), {
    text: 'The largest set of transactions that is saved, in MiB of binlog.',
  }),
  salvageTool: option('MXR_SALVAGE_TOOL', 'mariadb-binlog', program, {
    text: 'Name or path of mariadb-binlog, which writes what was saved as SQL for people.',
  }),
} as const;

type Settings = SettingsOf<typeof OPTIONS>;

/** For `--help` and for docs/reference/environment.md. */
export const CONFIG_OPTIONS: readonly ConfigOption[] = [
  ...shownOptions(OPTIONS),
  {
    name: 'KUBECONFIG',
    flag: '',
    default: 'in-cluster',
    description: 'Path of a kubeconfig file; without it the service account of the pod is used.',
  },
];

/** Rejects everything it does not know: all that is wrong at once, in one MxrError `ConfigInvalid`. */
export function readOperatorConfig(args: readonly string[], source: ConfigSource): OperatorConfig {
  const settings = readSettings(OPTIONS, args, source.env);
  const podNamespace = settings.podNamespace || ownNamespace(source);
  if (podNamespace === '') {
    throw invalidConfig([
      'MXR_POD_NAMESPACE: it is not set, and there is no service account to take the namespace from',
    ]);
  }
  checkLease(settings);
  if (settings.fillPort !== 0 && settings.podIp === '') {
    throw invalidConfig(['MXR_POD_IP: it is not set, and replicas have to be told where MXR_FILL_PORT is']);
  }
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
    fill: settings.fillPort === 0 ? null : { address: settings.podIp, port: settings.fillPort },
    salvage: salvageOf(settings),
    kubeconfig: kubeconfig === '' ? undefined : kubeconfig,
  };
}

function salvageOf({ salvageDir: dir, salvageTool: tool, salvageMaxMb }: Settings): OperatorConfig['salvage'] {
  return dir === '' ? null : { dir, tool, maxBytes: salvageMaxMb * 1024 * 1024 };
}

function checkLease(settings: Settings): void {
  const { leaseDurationMs, leaseRenewDeadlineMs, leaseRetryMs } = settings;
  if (leaseDurationMs * FENCE_FRACTION > leaseRenewDeadlineMs && leaseRenewDeadlineMs > 1.2 * leaseRetryMs) return;
  throw invalidConfig([
    `MXR_LEASE_DURATION_MS (${leaseDurationMs}) must be larger than MXR_LEASE_RENEW_DEADLINE_MS ` +
      `(${leaseRenewDeadlineMs}), and that larger than 1.2 x MXR_LEASE_RETRY_MS (${leaseRetryMs})`,
  ]);
}

function ownNamespace(source: ConfigSource): string {
  const text = source.readFile(SERVICE_ACCOUNT_NAMESPACE)?.trim() ?? '';
  return DNS_LABEL.test(text) ? text : '';
}

/** The settings as `--help` prints them. */
export function describeConfig(): string {
  return describeOptions(CONFIG_OPTIONS);
}
