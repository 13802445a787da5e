import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { helm } from '../../support/kube/build.ts';
import { renderChart } from '../../support/kube/chart.ts';

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: unknown;
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: unknown;
  readonly spec?: { readonly endpoints: readonly { readonly honorLabels?: boolean }[] };
}

// All that the operator may do. What is wanted beyond it is written here too, by somebody who knows why.
const WHERE_THE_RESOURCES_ARE = [
  { apiGroups: ['mxr.dev'], resources: ['mariadbexternalreplicas'], verbs: ['get', 'list', 'watch', 'patch'] },
  { apiGroups: ['mxr.dev'], resources: ['mariadbexternalreplicas/status'], verbs: ['patch'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch', 'patch'] },
  { apiGroups: [''], resources: ['secrets'], verbs: ['get'] },
  { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
];
const WHERE_THE_OPERATOR_IS = [
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], resourceNames: ['mxr'], verbs: ['get', 'update'] },
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
];
const LEASE = ['Role mxr/mxr-lease', WHERE_THE_OPERATOR_IS];
const LEASE_BINDING = 'RoleBinding mxr/mxr-lease -> Role mxr-lease';

const WAYS = [
  {
    name: 'by default, in the namespace of the release',
    values: {},
    roles: [LEASE, ['Role mxr/mxr-mxr', WHERE_THE_RESOURCES_ARE]],
    bindings: [LEASE_BINDING, 'RoleBinding mxr/mxr-mxr -> Role mxr-mxr'],
  },
  {
    name: 'in several namespaces',
    values: { namespaces: ['a', 'b'] },
    roles: [['Role a/mxr-mxr', WHERE_THE_RESOURCES_ARE], ['Role b/mxr-mxr', WHERE_THE_RESOURCES_ARE], LEASE],
    bindings: ['RoleBinding a/mxr-mxr -> Role mxr-mxr', 'RoleBinding b/mxr-mxr -> Role mxr-mxr', LEASE_BINDING],
  },
  {
    name: 'in the whole cluster',
    values: { clusterWide: true },
    roles: [['ClusterRole mxr-mxr', WHERE_THE_RESOURCES_ARE], LEASE],
    bindings: ['ClusterRoleBinding mxr-mxr -> ClusterRole mxr-mxr', LEASE_BINDING],
  },
];

describe('the rights in the chart', () => {
  let helmProgram: string;

  before(async () => {
    helmProgram = await helm((line) => console.error(line));
  });

  async function rendered(values: Readonly<Record<string, unknown>>): Promise<Rendered[]> {
    const yaml = await renderChart({ helm: helmProgram, values });
    return parseAllDocuments(yaml).flatMap((document) => {
      const value = document.toJS() as Rendered | null;
      return value === null ? [] : [value];
    });
  }

  for (const { name, values, roles, bindings } of WAYS) {
    // With everything else on, so that nothing optional brings rights of its own.
    for (const more of [{}, { serviceMonitor: { create: true }, networkPolicy: { create: true }, replicas: 2 }]) {
      const also = Object.keys(more).length === 0 ? '' : ', with all options';
      test(`are these and no other ${name}${also}`, async () => {
        const objects = await rendered({ ...values, ...more });
        const found = objects.filter(({ kind }) => kind.endsWith('Role')).map((role) => [nameOf(role), role.rules]);
        assert.deepEqual(found.sort(byName), [...roles].sort(byName));
        const bound = objects.filter(({ kind }) => kind.endsWith('Binding') && kind.includes('Role'));
        assert.deepEqual(
          bound.map((one) => `${nameOf(one)} -> ${one.roleRef?.kind} ${one.roleRef?.name}`).sort(),
          [...bindings].sort(),
        );
        for (const { subjects } of bound) {
          assert.deepEqual(subjects, [{ kind: 'ServiceAccount', name: 'mxr', namespace: 'mxr' }]);
        }
      });
    }
  }

  test('a ServiceMonitor is there when it is asked for, and keeps the labels of the series', async () => {
    const monitors = async (create: boolean): Promise<Rendered[]> =>
      (await rendered({ serviceMonitor: { create } })).filter(({ kind }) => kind === 'ServiceMonitor');
    assert.deepEqual(await monitors(false), []);
    const [monitor, ...others] = await monitors(true);
    assert.deepEqual(others, []);
    assert.deepEqual(
      monitor?.spec?.endpoints.map(({ honorLabels }) => honorLabels),
      [true],
    );
  });
});

function nameOf({ kind, metadata }: Rendered): string {
  return `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`;
}

function byName([one]: readonly unknown[], [other]: readonly unknown[]): number {
  return String(one) < String(other) ? -1 : 1;
}
