/**
 * Errors by cause. Third-party errors are translated at the port (`sql/`, `kube/`); inside mxr only these travel.
 * The message names the operation and the target and is safe to show: no class here ever holds a secret.
 */

/** Every error code; also the closed set of `mxr_reconcile_errors_total{reason}`. */
export const ERROR_CODES = [
  'Deadline',
  'ConnectionLost',
  'ConnectionRefused',
  'HostUnresolved',
  'AccessDenied',
  'GrantMissing',
  'TlsRefused',
  'SqlError',
  'ProtocolError',
  'BinlogRefused',
  'KubeConflict',
  'KubeNotFound',
  'KubeForbidden',
  'KubeInvalid',
  'KubeUnavailable',
  'ConfigInvalid',
  'InputInvalid',
  'FenceLost',
  'InvariantBroken',
  'Bug',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

export interface MxrErrorDetails {
  /** What was being done, as a verb phrase: `read the binlog position`. */
  readonly operation: string;
  /** What it was done to: `member hci-a (10.0.0.11:3306)`, never with credentials. */
  readonly target: string;
  readonly code: ErrorCode;
  /** What happened, as a sentence without the operation and target. */
  readonly detail: string;
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  /** MariaDB's error number, where there is one. */
  readonly errno?: number;
  readonly cause?: unknown;
}

export class MxrError extends Error {
  readonly code: ErrorCode;
  readonly operation: string;
  readonly target: string;
  readonly detail: string;
  readonly retryable: boolean;
  readonly errno: number | undefined;

  constructor(details: MxrErrorDetails) {
    super(
      `could not ${details.operation} on ${details.target}: ${details.detail}`,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.name = 'MxrError';
    this.code = details.code;
    this.operation = details.operation;
    this.target = details.target;
    this.detail = details.detail;
    this.retryable = details.retryable;
    this.errno = details.errno;
  }
}

export function isMxrError(error: unknown, ...codes: ErrorCode[]): error is MxrError {
  return error instanceof MxrError && (codes.length === 0 || codes.includes(error.code));
}

/** The system's code of an error (`ENOENT`, `ERR_TLS_...`); undefined: it has none. Its text may quote what was read. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** A short text for logs and status, never with a stack. An unknown error shows its class and message only. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
