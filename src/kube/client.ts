import { z } from 'zod';
import type { KubeConfig } from '@kubernetes/client-node';
import { API_VERSION, PLURAL } from '../api/names.ts';
import { MxrError, isMxrError } from '../errors.ts';
import { listWatch, parsed } from './list-watch.ts';
import type { ListWatch } from './list-watch.ts';
import { Lease, Pod, Resource, Secret } from './objects.ts';
import type { LeaseSpec, ObjectRef } from './objects.ts';
import { createTransport } from './transport.ts';
import type { ApiRequest, Transport } from './transport.ts';

const RESOURCES = `/apis/${API_VERSION}`;
const LEASES = '/apis/coordination.k8s.io/v1';
const CORE = '/api/v1';
const MERGE_PATCH = 'application/merge-patch+json';
const JSON_PATCH = 'application/json-patch+json';
const MAX_IN_FLIGHT = 32;

export interface KubeOptions {
  /** Of every call that names no deadline of its own, in ms, from authentication to the last byte. */
  readonly requestTimeoutMs: number;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

/** `null` removes the key. `resourceVersion` makes the patch conditional: a changed object is a `KubeConflict`. */
export interface MetadataPatch {
  readonly resourceVersion?: string;
  readonly labels?: Readonly<Record<string, string | null>>;
  readonly annotations?: Readonly<Record<string, string | null>>;
  readonly finalizers?: readonly string[];
}

/** core/v1 Event: the kind whose count and times `kubectl describe` shows. */
export interface EventBody {
  readonly involvedObject: Readonly<Record<'apiVersion' | 'kind' | 'namespace' | 'name' | 'uid', string>>;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
  readonly count: number;
  readonly source: { readonly component: string };
  readonly reportingComponent: string;
  readonly reportingInstance: string;
}

export interface LeaseApi {
  getLease(ref: ObjectRef, options?: CallOptions): Promise<Lease>;
  /** `KubeConflict` when it exists. */
  createLease(ref: ObjectRef, spec: LeaseSpec, options?: CallOptions): Promise<Lease>;
  /** Replaces the spec of the version that was read; `KubeConflict` when it is not that version any more. */
  updateLease(lease: Lease, spec: LeaseSpec, options?: CallOptions): Promise<Lease>;
}

export type EventAgain = Pick<EventBody, 'count' | 'lastTimestamp' | 'message'>;

export interface EventApi {
  createEvent(ref: ObjectRef, event: EventBody, options?: CallOptions): Promise<void>;
  /** The same again, or one more like it: then `message` is the newest. */
  countEvent(ref: ObjectRef, again: EventAgain, options?: CallOptions): Promise<void>;
}

/**
 * Everything mxr does with the Kubernetes API, and no more: each method is one verb of the chart's Role. All reject
 * with MxrError only (KubeConflict, KubeNotFound, KubeForbidden, KubeInvalid, KubeUnavailable, Deadline).
 */
export interface Kube extends LeaseApi, EventApi {
  /** `namespace` undefined: the whole cluster. */
  resources(namespace?: string): ListWatch<Resource>;
  pods(namespace?: string, labelSelector?: string): ListWatch<Pod>;
  getResource(ref: ObjectRef, options?: CallOptions): Promise<Resource>;
  /** Replaces the whole status of the version that was read. */
  replaceStatus(
    ref: ObjectRef & { readonly resourceVersion: string },
    status: object,
    options?: CallOptions,
  ): Promise<Resource>;
  patchResourceMetadata(ref: ObjectRef, patch: MetadataPatch, options?: CallOptions): Promise<Resource>;
  /** The pod is named with its uid: names are reused, and a successor must not get the label (`KubeConflict`). */
  labelPod(
    pod: ObjectRef & { readonly uid: string },
    labels: Readonly<Record<string, string | null>>,
    options?: CallOptions,
  ): Promise<void>;
  /** Decoded values by key. Never log the result. */
  getSecret(ref: ObjectRef, options?: CallOptions): Promise<Readonly<Record<string, string>>>;
  /** Closes every connection; open watches end with an error. */
  close(): Promise<void>;
}

export function createKube(kubeConfig: KubeConfig, options: KubeOptions): Kube {
  const { requestTimeoutMs } = options;
  const transport = createTransport(kubeConfig, { requestTimeoutMs, maxInFlight: MAX_IN_FLIGHT });
  return {
    ...objectCalls(transport),
    ...leaseCalls(transport),
    ...eventCalls(transport),
    resources: (namespace) =>
      listWatch(transport, {
        path: collectionPath(RESOURCES, namespace, PLURAL),
        target: `resources of ${namespace === undefined ? 'the cluster' : `namespace ${namespace}`}`,
        schema: Resource,
      }),
    pods: (namespace, labelSelector) =>
      listWatch(transport, {
        path: collectionPath(CORE, namespace, 'pods'),
        target: `pods of ${namespace === undefined ? 'the cluster' : `namespace ${namespace}`}`,
        schema: Pod,
        labelSelector,
      }),
    close: () => transport.close(),
  };
}

type ObjectCalls = Pick<Kube, 'getResource' | 'replaceStatus' | 'patchResourceMetadata' | 'labelPod' | 'getSecret'>;

function objectCalls(transport: Transport): ObjectCalls {
  const call = caller(transport);
  return {
    getResource: async (ref, options) => {
      const path = objectPath(RESOURCES, PLURAL, ref);
      return call(Resource, { operation: 'read', target: `resource ${nameOf(ref)}`, method: 'GET', path }, options);
    },
    replaceStatus: async (ref, status, options) => {
      // A JSON patch that also sets resourceVersion: the version is checked, keys that are gone from the status go,
      // and the verb `patch` is enough.
      const body = [
        { op: 'replace', path: '/metadata/resourceVersion', value: ref.resourceVersion },
        { op: 'add', path: '/status', value: status },
      ];
      const path = `${objectPath(RESOURCES, PLURAL, ref)}/status`;
      const name = { operation: 'write the status', target: `resource ${nameOf(ref)}` };
      return call(Resource, { ...name, method: 'PATCH', path, body, contentType: JSON_PATCH }, options);
    },
    patchResourceMetadata: async (ref, patch, options) => {
      const path = objectPath(RESOURCES, PLURAL, ref);
      const name = { operation: 'change the metadata', target: `resource ${nameOf(ref)}` };
      return call(
        Resource,
        { ...name, method: 'PATCH', path, body: { metadata: patch }, contentType: MERGE_PATCH },
        options,
      );
    },
    labelPod: async (pod, labels, options) => {
      const path = objectPath(CORE, 'pods', pod);
      const name = { operation: 'label', target: `pod ${nameOf(pod)}` };
      const body = { metadata: { uid: pod.uid, labels } };
      try {
        await call(z.unknown(), { ...name, method: 'PATCH', path, body, contentType: MERGE_PATCH }, options);
      } catch (error) {
        if (!isMxrError(error, 'KubeInvalid') || !error.detail.includes('metadata.uid')) throw error;
        const detail = 'it is another pod of the same name';
        throw new MxrError({ ...name, code: 'KubeConflict', detail, retryable: true, cause: error });
      }
    },
    getSecret: async (ref, options) => {
      const path = objectPath(CORE, 'secrets', ref);
      const request = { operation: 'read', target: `secret ${nameOf(ref)}`, method: 'GET', path } as const;
      const { data } = await call(Secret, request, options);
      const decode = (value: string): string => Buffer.from(value, 'base64').toString('utf8');
      return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, decode(value)]));
    },
  };
}

function leaseCalls(transport: Transport): LeaseApi {
  const call = caller(transport);
  const named = (operation: string, ref: ObjectRef): Pick<ApiRequest, 'operation' | 'target' | 'urgent'> => ({
    operation,
    target: `lease ${nameOf(ref)}`,
    urgent: true,
  });
  return {
    getLease: async (ref, options) => {
      const path = objectPath(LEASES, 'leases', ref);
      return call(Lease, { ...named('read', ref), method: 'GET', path }, options);
    },
    createLease: async (ref, spec, options) => {
      const path = collectionPath(LEASES, ref.namespace, 'leases');
      const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: ref, spec };
      return call(Lease, { ...named('create', ref), method: 'POST', path, body }, options);
    },
    updateLease: async ({ metadata }, spec, options) => {
      const { namespace, name, resourceVersion, labels, annotations } = metadata;
      const path = objectPath(LEASES, 'leases', metadata);
      const kept = { namespace, name, resourceVersion, labels, annotations };
      const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: kept, spec };
      return call(Lease, { ...named('update', metadata), method: 'PUT', path, body }, options);
    },
  };
}

function eventCalls(transport: Transport): EventApi {
  const call = caller(transport);
  return {
    createEvent: async (ref, event, options) => {
      const path = collectionPath(CORE, ref.namespace, 'events');
      const body = { apiVersion: 'v1', kind: 'Event', metadata: ref, ...event };
      const name = { operation: 'create', target: `event ${nameOf(ref)}` };
      await call(z.unknown(), { ...name, method: 'POST', path, body }, options);
    },
    countEvent: async (ref, again, options) => {
      const path = objectPath(CORE, 'events', ref);
      const name = { operation: 'count', target: `event ${nameOf(ref)}` };
      await call(z.unknown(), { ...name, method: 'PATCH', path, body: again, contentType: MERGE_PATCH }, options);
    },
  };
}

type Call = <T>(schema: z.ZodType<T>, request: ApiRequest, options?: CallOptions) => Promise<T>;

function caller(transport: Transport): Call {
  return async (schema, request, options = {}) => {
    const { signal, timeoutMs } = options;
    const answer = await transport.call({ ...request, signal, timeoutMs });
    return parsed(request, schema, answer, 'what was asked for');
  };
}

function nameOf(ref: ObjectRef): string {
  return `${ref.namespace}/${ref.name}`;
}

/** RFC 1123 subdomain. Names come from specs that anybody wrote, and `..` would climb out of the collection. */
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/u;

function segment(name: string): string {
  if (NAME.test(name)) return name;
  throw new MxrError({
    operation: 'name an object',
    target: 'the Kubernetes API',
    code: 'KubeInvalid',
    detail: `${JSON.stringify(name.slice(0, 80))} is not a valid object name`,
    retryable: false,
  });
}

function collectionPath(group: string, namespace: string | undefined, plural: string): string {
  return namespace === undefined ? `${group}/${plural}` : `${group}/namespaces/${segment(namespace)}/${plural}`;
}

function objectPath(group: string, plural: string, ref: ObjectRef): string {
  return `${collectionPath(group, ref.namespace, plural)}/${segment(ref.name)}`;
}
