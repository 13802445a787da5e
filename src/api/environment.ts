import { z } from 'zod';

/**
 * Every `MXR_*` variable of the operator: the schema that `config.ts` parses the environment with, `--help` lists and
 * docs/reference/environment.md is generated from. Values arrive as text.
 */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

function integer(min: number, max: number, fallback: number): z.ZodPrefault<z.ZodCoercedNumber> {
  return z.coerce.number().int().min(min).max(max).prefault(fallback);
}

export const OperatorEnvironment = z.object({
  MXR_HTTP_PORT: integer(0, 65_535, 8080).describe('Port of /metrics, /livez, /readyz, / and /api. 0: any free one.'),
  MXR_LOG_LEVEL: z.enum(LOG_LEVELS).default('info').describe('debug, info, warn or error.'),
  MXR_WATCH_NAMESPACE: z
    .string()
    .max(63)
    .default('')
    .describe('The one namespace whose resources are handled; empty: all (needs the ClusterRole).'),
  MXR_NAMESPACE: z
    .string()
    .min(1)
    .max(63)
    .default('default')
    .describe('Namespace of the operator: its Lease is there.'),
  MXR_POD_NAME: z.string().min(1).max(253).optional().describe('Identity in the Lease. Default: the host name.'),
  MXR_POD_UID: z.string().min(1).max(64).optional().describe('Identity in the Lease. Default: random.'),
  MXR_LEASE_NAME: z.string().min(1).max(253).default('mxr').describe('Operators with one Lease take turns.'),
  MXR_LEASE_DURATION_MS: integer(2000, 600_000, 15_000).describe(
    'How long others wait for a silent leader. Longer than the renew deadline.',
  ),
  MXR_LEASE_RENEW_DEADLINE_MS: integer(1000, 600_000, 10_000).describe(
    'A leader that could not renew for this long gives up. Longer than 1.2 times the retry period.',
  ),
  MXR_LEASE_RETRY_MS: integer(100, 600_000, 2000).describe('Time between two tries to get or renew the Lease.'),
});
export type OperatorEnvironment = z.output<typeof OperatorEnvironment>;
