import assert from 'node:assert/strict';
import { parseResource } from '../../../src/api/v1alpha1.ts';
import type { ExternalReplica } from '../../../src/api/v1alpha1.ts';
import { MxrError } from '../../../src/errors.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import type { Kube } from '../../../src/kube/client.ts';
import { Pod } from '../../../src/kube/objects.ts';
import type { Row, SqlConnect, SqlSession, SqlTarget } from '../../../src/sql/port.ts';
import type { Sample } from '../api/sample.ts';
import { sampleResource } from '../api/sample.ts';

export const NAMESPACE = 'default';

export interface ResourceChange {
  readonly name?: string;
  readonly namespace?: string;
  readonly generation?: number;
  readonly status?: unknown;
  readonly spec?: (spec: Sample) => void;
}

export function resourceOf(change: ResourceChange = {}): ExternalReplica {
  const { name = 'orders', namespace = NAMESPACE, generation = 1, status = {} } = change;
  const sample = sampleResource(change.spec);
  const metadata = { name, namespace, uid: `uid-${namespace}-${name}`, generation };
  const parsed = parseResource({ ...sample, metadata, status });
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.message);
  return parsed.resource;
}

export interface PodChange {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly namespace?: string;
  readonly owner?: { readonly apiVersion: string; readonly kind: string };
  readonly ip?: string;
}

export function podOf(name: string, change: PodChange = {}): Pod {
  const {
    labels = { app: 'orders-replica' },
    annotations = {},
    namespace = NAMESPACE,
    owner,
    ip = '10.1.0.1',
  } = change;
  const ownerReferences = owner === undefined ? [] : [{ ...owner, name: 'owner', uid: 'u' }];
  return Pod.parse({
    metadata: { name, namespace, uid: `uid-${name}`, resourceVersion: '1', labels, annotations, ownerReferences },
    status: { phase: 'Running', podIP: ip, conditions: [{ type: 'Ready', status: 'True' }] },
  });
}

export function failure(code: ErrorCode, detail: string = code): MxrError {
  return new MxrError({ operation: 'ask', target: 'a test', code, detail, retryable: false });
}

/** The Secrets of a namespace; an error instead of data is what the API server answers. */
export class FakeSecrets implements Pick<Kube, 'getSecret'> {
  readonly answers = new Map<string, Record<string, string> | MxrError>();
  reads = 0;

  constructor() {
    this.answers.set('orders-source', {
      username: 'look',
      password: 'look-password',
      replicationUsername: 'repl',
      replicationPassword: 'repl-password',
    });
    this.answers.set('orders-replica', { username: 'replica', password: 'replica-password' });
  }

  async getSecret({ name }: { readonly name: string }): Promise<Readonly<Record<string, string>>> {
    this.reads += 1;
    const answer = this.answers.get(name) ?? failure('KubeNotFound');
    if (answer instanceof MxrError) throw answer;
    return answer;
  }
}

const ALL = { Grants: "GRANT ALL PRIVILEGES ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*AAAA'" };

/** Servers by `name of the target`: an error refuses the login, else what they say of themselves. */
export class FakeServers {
  readonly servers = new Map<string, MxrError | { readonly version?: string; readonly grants?: readonly Row[] }>();
  readonly logins: SqlTarget[] = [];

  readonly connect: SqlConnect = async (target) => {
    this.logins.push(target);
    const server = this.servers.get(target.name) ?? {};
    if (server instanceof MxrError) throw server;
    const session: Pick<SqlSession, 'serverVersion' | 'query' | 'destroy'> = {
      serverVersion: server.version ?? '10.11.6-MariaDB',
      query: async (sql) => {
        if (sql === 'SHOW GRANTS') return server.grants ?? [ALL];
        return [{ account: `${target.user}@%` }];
      },
      destroy: () => undefined,
    };
    return session as SqlSession;
  };

  loginsAt(name: string): number {
    return this.logins.filter((target) => target.name === name).length;
  }
}
