import { z } from 'zod';
import { API_VERSION, KIND } from './names.ts';
import { Spec } from './spec.ts';
import { Status } from './status.ts';

export * from './spec.ts';
export * from './status.ts';
export * from './status-member.ts';
export type { Coordinates, Identity, Place, Transactions } from './status-parts.ts';

const Metadata = z.object({
  name: z.string().min(1),
  namespace: z.string().min(1),
  uid: z.string().default(''),
  generation: z.int().default(0),
  resourceVersion: z.string().default(''),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  annotations: z.record(z.string(), z.string()).default({}),
  finalizers: z.array(z.string()).default([]),
  /** Tells who wrote an annotation. */
  managedFields: z
    .array(
      z.object({
        manager: z.string().default(''),
        time: z.string().optional(),
        fieldsV1: z.record(z.string(), z.unknown()).default({}),
      }),
    )
    .default([]),
});
export type Metadata = z.infer<typeof Metadata>;

/** One MariaDBExternalReplica as the program sees it: every default filled in, every field checked. */
export const ExternalReplica = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal(KIND),
  metadata: Metadata,
  spec: Spec,
  status: Status.prefault({}),
});
export type ExternalReplica = z.output<typeof ExternalReplica>;

export type ParsedResource =
  | { readonly ok: true; readonly resource: ExternalReplica }
  | { readonly ok: false; readonly field: string; readonly message: string };

const STATUS_CURE =
  'it was not written by this version of mxr; to begin anew as at a first sight, remove it with kubectl replace --subresource=status';
const MAX_MESSAGE = 500;

/** Reads what the API server answered. Never throws; the first wrong field is named together with what is wanted there. */
export function parseResource(value: unknown): ParsedResource {
  const parsed = ExternalReplica.safeParse(value);
  if (parsed.success) return { ok: true, resource: parsed.data };
  const issue = parsed.error.issues[0];
  const field = fieldPath(issue?.path ?? []);
  const wanted = (issue?.message ?? 'not a MariaDBExternalReplica').slice(0, MAX_MESSAGE);
  const cure = field.startsWith('status') ? STATUS_CURE : 'correct it with kubectl edit or kubectl apply';
  return { ok: false, field, message: `${field}: ${wanted}; ${cure}` };
}

function fieldPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? String(part) : `.${String(part)}`;
  }
  return text === '' ? 'resource' : text.slice(0, MAX_MESSAGE);
}
