import { VERDICTS } from '../api/reasons.ts';
import type { Spec, Status } from '../api/v1alpha1.ts';

/** One resource as the operator knows it now; what the status page and `/api/v1/resources` show. */
export interface ResourceView {
  readonly namespace: string;
  readonly name: string;
  /** Absent while the resource could not be read: its status says why. */
  readonly spec: Spec | undefined;
  readonly status: Status;
  /** Wall time of the look that the status describes, in ms since the epoch. */
  readonly observedAt: number;
}

/** The answer of `/api/v1/resources`: what the page shows, as JSON. */
export interface ResourceJson {
  readonly namespace: string;
  readonly name: string;
  readonly vip: string;
  readonly members: readonly { readonly name: string; readonly address: string }[];
  readonly handover: string;
  readonly suspend: boolean;
  readonly observedAt: string;
  readonly status: Status;
}

export function resourceJson({ namespace, name, spec, status, observedAt }: ResourceView): ResourceJson {
  const members = spec?.source.members ?? [];
  return {
    namespace,
    name,
    vip: spec === undefined ? '' : address(spec.source.vip),
    members: members.map((member) => ({ name: member.name, address: address(member) })),
    handover: spec?.policy.handover ?? '',
    suspend: spec?.suspend ?? false,
    observedAt: new Date(observedAt).toISOString(),
    status,
  };
}

function address({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The worst first, as the verdicts are ordered; equal ones by name. */
export function worstFirst(views: readonly ResourceView[]): readonly ResourceView[] {
  return [...views].sort(
    (a, b) => severity(a) - severity(b) || a.namespace.localeCompare(b.namespace) || a.name.localeCompare(b.name),
  );
}

function severity({ status }: ResourceView): number {
  const accepted = status.conditions.find((condition) => condition.type === 'Accepted');
  if (accepted?.status === 'False') return -1;
  return status.verdict === undefined ? VERDICTS.length : VERDICTS.indexOf(status.verdict);
}
