import { z } from 'zod';

/**
 * The parts of Kubernetes objects that mxr reads, checked at the port. Everything else is dropped, except in the
 * resource, whose spec and status are parsed by `api/`.
 */
const StringMap = z
  .record(z.string(), z.string())
  .nullish()
  .transform((map) => map ?? {});

const OwnerReference = z.object({ apiVersion: z.string(), kind: z.string(), name: z.string(), uid: z.string() });

export const ObjectMeta = z.object({
  name: z.string().min(1),
  namespace: z.string().default(''),
  uid: z.string().min(1),
  resourceVersion: z.string().min(1),
  generation: z.number().int().default(0),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  labels: StringMap,
  annotations: StringMap,
  finalizers: z.array(z.string()).default([]),
  ownerReferences: z.array(OwnerReference).default([]),
});
export type ObjectMeta = z.output<typeof ObjectMeta>;

/** A `MariaDBExternalReplica` as the API has it: `spec` and `status` are still untrusted. */
export const Resource = z.looseObject({
  /** Who wrote an annotation is read of the field managers. */
  metadata: ObjectMeta.extend({ managedFields: z.array(z.unknown()).default([]) }),
  spec: z.unknown().optional(),
  status: z.unknown().optional(),
});
export type Resource = z.output<typeof Resource>;

export const Pod = z.object({
  metadata: ObjectMeta,
  status: z
    .object({
      phase: z.string().optional(),
      podIP: z.string().optional(),
      startTime: z.string().optional(),
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
    })
    .prefault({}),
});
export type Pod = z.output<typeof Pod>;

export const Secret = z.object({ metadata: ObjectMeta, data: StringMap });

export const Lease = z.object({
  metadata: ObjectMeta,
  spec: z
    .object({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.number().int().nullish(),
      acquireTime: z.string().nullish(),
      renewTime: z.string().nullish(),
      leaseTransitions: z.number().int().nullish(),
    })
    .prefault({}),
});
export type Lease = z.output<typeof Lease>;
export type LeaseSpec = Lease['spec'];

/** `metadata` of a list answer. */
export const ListPage = z.object({
  metadata: z.object({ resourceVersion: z.string().min(1), continue: z.string().optional() }),
  items: z
    .array(z.unknown())
    .nullish()
    .transform((items) => items ?? []),
});

/** One line of a watch. */
export const WatchLine = z.object({
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: z.unknown(),
});
export const BookmarkObject = z.object({ metadata: z.object({ resourceVersion: z.string().min(1) }) });

/** Names an object; `namespace` is never empty, every kind that mxr touches is namespaced. */
export interface ObjectRef {
  readonly namespace: string;
  readonly name: string;
}

/** `namespace/name`: the key of queues and caches. */
export function keyOf(object: { readonly metadata: ObjectRef }): string {
  return `${object.metadata.namespace}/${object.metadata.name}`;
}
