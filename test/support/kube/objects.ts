import { type KubeObject, KubeStatusError, type Resource, type Target, callKube, resourcePath } from './rest.ts';

export interface PodState {
  readonly ip?: string;
  readonly ready?: boolean;
  /** Added to or changed in what the pod has. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface PodRequest extends PodState {
  readonly namespace: string;
  readonly name: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly Readonly<Record<string, unknown>>[];
}

/** Objects as the administrator makes them. Pods are nothing but objects: the harness writes what a kubelet would. */
export interface KubeObjects {
  get<T = KubeObject>(resource: Resource): Promise<T>;
  list<T = KubeObject>(resource: Resource, labelSelector?: string): Promise<T[]>;
  create(resource: Resource, object: KubeObject): Promise<KubeObject>;
  /** A merge patch: objects are merged, lists and values replaced, `null` removes. */
  patch(resource: Resource, change: Readonly<Record<string, unknown>>): Promise<KubeObject>;
  remove(resource: Resource): Promise<void>;
  /** Does nothing when it is there. */
  createNamespace(name: string): Promise<void>;
  /** Also replaces the one that is there. Values are plain text. */
  createSecret(namespace: string, name: string, data: Readonly<Record<string, string>>): Promise<void>;
  createPod(pod: PodRequest): Promise<KubeObject>;
  setPod(namespace: string, name: string, state: PodState): Promise<KubeObject>;
  /** At once, like a forced deletion. The pod of the same name made afterwards has another uid. */
  deletePod(namespace: string, name: string): Promise<void>;
}

const APPLY = { fieldManager: 'bench', force: 'true' };

export function kubeObjects(target: Target): KubeObjects {
  const patch = (resource: Resource, change: unknown): Promise<KubeObject> => {
    const call = {
      method: 'PATCH',
      path: resourcePath(resource),
      body: change,
      contentType: 'application/merge-patch+json',
    } as const;
    return callKube(target, call);
  };
  const create = (resource: Resource, object: KubeObject): Promise<KubeObject> =>
    callKube(target, { method: 'POST', path: resourcePath(resource), body: object });
  const setPod = (namespace: string, name: string, state: PodState): Promise<KubeObject> =>
    changePod(patch, namespace, name, state);
  return {
    get: (resource) => callKube(target, { method: 'GET', path: resourcePath(resource) }),
    list: (resource, labelSelector) => list(target, resource, labelSelector),
    create,
    patch,
    setPod,
    remove: async (resource) => void (await callKube(target, { method: 'DELETE', path: resourcePath(resource) })),
    createNamespace: async (name) => createNamespace(create, name),
    createSecret: async (namespace, name, data) => {
      const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, data: inBase64(data) };
      const path = resourcePath({ api: 'v1', plural: 'secrets', namespace, name }, APPLY);
      await callKube(target, { method: 'PATCH', path, body, contentType: 'application/apply-patch+yaml' });
    },
    createPod: async (pod) => {
      await create({ api: 'v1', plural: 'pods', namespace: pod.namespace }, podObject(pod));
      return setPod(pod.namespace, pod.name, {
        ready: pod.ready ?? true,
        ...(pod.ip === undefined ? {} : { ip: pod.ip }),
      });
    },
    deletePod: async (namespace, name) => {
      const path = resourcePath({ api: 'v1', plural: 'pods', namespace, name });
      await callKube(target, { method: 'DELETE', path, body: { gracePeriodSeconds: 0 } });
    },
  };
}

async function list<T>(target: Target, resource: Resource, labelSelector: string | undefined): Promise<T[]> {
  const path = resourcePath(resource, labelSelector === undefined ? {} : { labelSelector });
  return (await callKube<{ items: T[] }>(target, { method: 'GET', path })).items;
}

async function createNamespace(create: KubeObjects['create'], name: string): Promise<void> {
  try {
    await create({ api: 'v1', plural: 'namespaces' }, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  } catch (error) {
    if (!(error instanceof KubeStatusError && error.reason === 'AlreadyExists')) throw error;
  }
}

async function changePod(
  patch: KubeObjects['patch'],
  namespace: string,
  name: string,
  state: PodState,
): Promise<KubeObject> {
  const resource = { api: 'v1', plural: 'pods', namespace, name };
  const labelled = await patch(resource, { metadata: { labels: state.labels ?? {} } });
  if (state.ip === undefined && state.ready === undefined) return labelled;
  return patch({ ...resource, subresource: 'status' }, { status: podStatus(state) });
}

function podStatus({ ip, ready }: PodState): Record<string, unknown> {
  const lastTransitionTime = `${new Date().toISOString().slice(0, 19)}Z`;
  return {
    phase: 'Running',
    ...(ip === undefined ? {} : { podIP: ip, podIPs: [{ ip }] }),
    ...(ready === undefined
      ? {}
      : { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime }] }),
  };
}

function podObject({ namespace, name, labels = {}, annotations = {}, ownerReferences = [] }: PodRequest): KubeObject {
  const metadata = { name, namespace, labels: { ...labels }, annotations: { ...annotations }, ownerReferences };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: {
      // As if scheduled, so that it is a running pod in every respect but that nothing runs it.
      nodeName: 'bench',
      automountServiceAccountToken: false,
      containers: [{ name: 'mariadb', image: 'mariadb', ports: [{ name: 'mysql', containerPort: 3306 }] }],
    },
  };
}

function inBase64(data: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
}
