/** Names that other people's YAML, scripts and policies rely on: one place, never changed. */

export const GROUP = 'mxr.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}` as const;
export const KIND = 'MariaDBExternalReplica';
export const LIST_KIND = `${KIND}List` as const;
export const PLURAL = 'mariadbexternalreplicas';
export const SINGULAR = 'mariadbexternalreplica';
export const SHORT_NAME = 'mxr';
export const CRD_NAME = `${PLURAL}.${GROUP}` as const;

/** A person writes the id that the message prints: `mxr.dev/approve: <id>`. */
export const APPROVE_ANNOTATION = `${GROUP}/approve` as const;
/** On a pod, `"true"` only while it may serve reads: the selector of a read Service. */
export const SERVING_LABEL = `${GROUP}/serving` as const;
/** On the resource while a handover's intent is open, so that it cannot vanish in mid-handover. */
export const HANDOVER_FINALIZER = `${GROUP}/handover` as const;
/** Name of the Lease, and of the field manager, of the operator. */
export const OPERATOR_NAME = 'mxr';

/** The user-level lock on a replica that every acting session holds; one per channel. */
export function replicaLockName(channel: string): string {
  return `${GROUP}/${channel}`;
}
