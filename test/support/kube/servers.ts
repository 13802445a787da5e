import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlPlane } from './build.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import type { Target } from './rest.ts';

/** The user that mxr's own ServiceAccount would be: role bindings to ServiceAccount `mxr` in `mxr` hold for it. */
export const OPERATOR_USER = 'system:serviceaccount:mxr:mxr';
export const ADMIN_USER = 'admin';

export interface Servers {
  readonly binaries: ControlPlane;
  readonly dir: string;
  readonly address: string;
  readonly port: number;
  readonly netns: string | undefined;
}

/** On sockets in its own directory: no port to collide with another bench on the same loopback. */
export function startEtcd({ binaries, dir, netns }: Servers): Daemon {
  // etcd wants host and port here, and then makes a socket of that name in its working directory.
  const peer = 'unix://etcd-peer:1';
  return startDaemon({
    program: binaries.etcd,
    args: [
      `--data-dir=${join(dir, 'etcd')}`,
      `--listen-client-urls=${etcdUrl(dir)}`,
      // Only announced to clients that ask for it, and the API server does not.
      '--advertise-client-urls=http://localhost:1',
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      // The data is thrown away with the bench, so a lost write costs nothing.
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
    logFile: join(dir, 'etcd.log'),
    cwd: dir,
    netns,
  });
}

function etcdUrl(dir: string): string {
  return `unix://${join(dir, 'etcd.sock')}`;
}

/** Without a controller manager: nothing cascades, namespaces do not go, no ServiceAccount gets a token. */
export function startApiServer({ binaries, dir, address, port, netns }: Servers): Daemon {
  return startDaemon({
    program: binaries.apiserver,
    args: [
      `--etcd-servers=${etcdUrl(dir)}`,
      `--bind-address=${address}`,
      `--advertise-address=${address}`,
      `--secure-port=${port}`,
      // It makes its own serving certificate there, and the authority that signed it.
      `--cert-dir=${join(dir, 'pki')}`,
      `--token-auth-file=${join(dir, 'tokens.csv')}`,
      '--authorization-mode=RBAC',
      // It would refuse pods whose ServiceAccount nobody has made.
      '--disable-admission-plugins=ServiceAccount',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${join(dir, 'service-account.pem')}`,
      `--service-account-signing-key-file=${join(dir, 'service-account.pem')}`,
      '--service-cluster-ip-range=10.96.0.0/16',
      // The kubernetes Service has no use here, and its endpoint may not be a loopback address.
      '--endpoint-reconciler-type=none',
      '--allow-privileged=true',
    ],
    logFile: join(dir, 'kube-apiserver.log'),
    cwd: dir,
    netns,
  });
}

/** Fresh tokens for these users, and the key that the API server wants for ServiceAccounts. Returns token by user. */
export function writeCredentials(dir: string, users: readonly string[]): Map<string, string> {
  mkdirSync(dir, { recursive: true });
  const tokens = new Map(users.map((user) => [user, randomBytes(24).toString('hex')]));
  const lines = [...tokens].map(([user, token]) => `${token},${user},${user},"${groupsOf(user).join(',')}"\n`);
  writeFileSync(join(dir, 'tokens.csv'), lines.join(''), { mode: 0o600 });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  writeFileSync(join(dir, 'service-account.pem'), privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });
  return tokens;
}

function groupsOf(user: string): string[] {
  if (user === ADMIN_USER) return ['system:masters'];
  const account = /^system:serviceaccount:([^:]+):/.exec(user);
  return account?.[1] === undefined ? [] : ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`];
}

/** The serving certificate followed by its authority's: all that a client needs to trust. */
export function certificateFile(dir: string): string {
  return join(dir, 'pki/apiserver.crt');
}

export function adminKubeconfigFile(dir: string): string {
  return join(dir, 'admin.kubeconfig');
}

/** JSON, which every reader of a kubeconfig takes for the YAML that it is. */
export function kubeconfig(target: Target, user: string): string {
  const authority = Buffer.from(target.caPem).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'bench', cluster: { server: target.url, 'certificate-authority-data': authority } }],
    users: [{ name: user, user: { token: target.token } }],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user } }],
    'current-context': 'bench',
  });
}
