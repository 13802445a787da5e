import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { freezeProcess, isFrozen } from '../freeze.ts';
import { until } from '../wait.ts';
import type { ControlPlane } from './build.ts';
import type { Daemon } from './daemon.ts';
import { runKubectl } from './kubectl.ts';
import { type KubeObjects, kubeObjects } from './objects.ts';
import { type Target, exchange } from './rest.ts';
import {
  ADMIN_USER,
  OPERATOR_USER,
  adminKubeconfigFile,
  certificateFile,
  kubeconfig,
  startApiServer,
  startEtcd,
  writeCredentials,
} from './servers.ts';

export interface KubeApiOptions {
  readonly binaries: ControlPlane;
  /** Holds everything that the two servers keep; absolute and short, because etcd's sockets are in it. */
  readonly dir: string;
  /** Where the API server listens; must be reachable from this process. */
  readonly address: string;
  /** Default: 6443 in a namespace, a free one otherwise. */
  readonly port?: number;
  /** Network namespace (`ip netns`) of both servers; default: this process's own. */
  readonly netns?: string;
  /** Users without any right until a role is bound to them, besides the operator's. */
  readonly users?: readonly string[];
}

export interface KubeApi extends KubeObjects {
  readonly url: string;
  readonly caPem: string;
  /** A kubeconfig, as text. */
  readonly adminKubeconfig: string;
  userKubeconfig(user: string): string;
  /** What `callKube` needs to call as that user. */
  as(user: string): Target;
  /** Resolves with stdout; a failure carries stderr. Every call ends after a minute. */
  kubectl(args: readonly string[], stdin?: string): Promise<string>;
  /** Server-side apply of any number of documents. */
  apply(yaml: string): Promise<void>;
  /** Of the API server's process. */
  state(): 'Running' | 'Frozen' | 'Gone';
  /** Connections stay open and nothing answers. */
  freeze(): Promise<void>;
  thaw(): void;
  /** SIGKILL of the API server; `restart` brings it back. */
  kill(): Promise<void>;
  /** A new API server on the same address, over the same etcd. Resolves when it is ready. */
  restart(): Promise<void>;
  /** Ends both servers. */
  stop(): Promise<void>;
}

const READY_DEADLINE_MS = 60_000;
const STOP_GRACE_MS = 5_000;

/** Starts etcd and kube-apiserver and waits until they serve. Resolves after 3 to 6 s. */
export async function startKubeApi(options: KubeApiOptions): Promise<KubeApi> {
  const { dir, address, netns } = options;
  const port = options.port ?? (netns === undefined ? await freePort(address) : 6443);
  mkdirSync(dir, { recursive: true });
  const tokens = writeCredentials(dir, [ADMIN_USER, OPERATOR_USER, ...(options.users ?? [])]);
  const servers = { binaries: options.binaries, dir, address, port, netns };
  const etcd = startEtcd(servers);
  let apiserver = startApiServer(servers);
  const target = (user: string): Target => {
    const token = tokens.get(user);
    if (token === undefined) throw new Error(`no user ${user}: name it in the option users`);
    return { url: `https://${address}:${port}`, caPem: readFileSync(certificateFile(dir), 'utf8'), token };
  };
  const ready = () => waitReady([etcd, apiserver], () => target(ADMIN_USER));
  const stop = async (): Promise<void> => {
    await apiserver.stop(STOP_GRACE_MS);
    await etcd.stop(STOP_GRACE_MS);
  };
  try {
    await ready();
  } catch (error) {
    await stop();
    throw error;
  }
  const admin = target(ADMIN_USER);
  const adminKubeconfig = kubeconfig(admin, ADMIN_USER);
  writeFileSync(adminKubeconfigFile(dir), adminKubeconfig, { mode: 0o600 });
  const kubectl = (args: readonly string[], stdin?: string) => runKubectl(servers, args, stdin);
  return {
    ...kubeObjects(admin),
    url: admin.url,
    caPem: admin.caPem,
    adminKubeconfig,
    userKubeconfig: (user) => kubeconfig(target(user), user),
    as: target,
    kubectl,
    apply: async (yaml) => void (await kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], yaml)),
    state: () => (apiserver.running() ? (isFrozen(apiserver.pid) ? 'Frozen' : 'Running') : 'Gone'),
    freeze: () => freezeProcess(apiserver.pid),
    thaw: () => apiserver.signal('SIGCONT'),
    kill: () => apiserver.stop(0),
    restart: async () => {
      await apiserver.stop(STOP_GRACE_MS);
      apiserver = startApiServer(servers);
      await ready();
    },
    stop,
  };
}

/** Not only listening: its first objects (roles, priority classes) are there, or the first test meets a refusal. */
async function waitReady(daemons: readonly Daemon[], target: () => Target): Promise<void> {
  const logs = (): string => daemons.map((daemon) => daemon.logTail()).join('\n---\n');
  let dead = false;
  try {
    await until(
      'kube-apiserver answers /readyz',
      async () => {
        dead = daemons.some((daemon) => !daemon.running());
        return dead || (await exchange(target(), { method: 'GET', path: '/readyz', deadlineMs: 5_000 })).status === 200;
      },
      { deadlineMs: READY_DEADLINE_MS },
    );
  } catch (error) {
    throw new Error(`kube-apiserver did not become ready; the logs end with\n${logs()}`, { cause: error });
  }
  if (dead) throw new Error(`etcd or kube-apiserver ended at its start; the logs end with\n${logs()}`);
}

function freePort(address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, address, () => {
      const bound = server.address();
      server.close(() => {
        if (bound === null || typeof bound === 'string') reject(new Error(`no free port on ${address}`));
        else resolve(bound.port);
      });
    });
  });
}
