import type { Pod } from '../../kube/objects.ts';

/** API groups of operators that decide themselves whom their MySQL or MariaDB servers follow. */
const GROUPS = new Map([
  ['k8s.mariadb.com', 'mariadb-operator'],
  ['enterprise.mariadb.com', 'MariaDB Enterprise Operator'],
  ['mariadb.mmontes.io', 'mariadb-operator'],
  ['moco.cybozu.com', 'MOCO'],
  ['mysql.oracle.com', 'MySQL Operator for Kubernetes'],
  ['mysql.presslabs.org', 'Bitpoke MySQL Operator'],
  ['ps.percona.com', 'Percona Operator for MySQL'],
  ['pxc.percona.com', 'Percona XtraDB Cluster Operator'],
  ['mysql.percona.com', 'Percona Operator for MySQL'],
  ['planetscale.com', 'Vitess Operator'],
  ['mysql.radondb.com', 'RadonDB MySQL Operator'],
  ['apps.kubeblocks.io', 'KubeBlocks'],
  ['workloads.kubeblocks.io', 'KubeBlocks'],
  ['kubedb.com', 'KubeDB'],
]);

/** Values of `app.kubernetes.io/managed-by` and `created-by` that are not an API group. */
const MANAGERS = new Map([
  ['mariadb-operator', 'mariadb-operator'],
  ['moco', 'MOCO'],
  ['mysql-operator', 'a MySQL operator'],
  ['percona-server-mysql-operator', 'Percona Operator for MySQL'],
  ['percona-xtradb-cluster-operator', 'Percona XtraDB Cluster Operator'],
  ['vitess-operator', 'Vitess Operator'],
  ['kubeblocks', 'KubeBlocks'],
]);
const MANAGER_LABELS = ['app.kubernetes.io/managed-by', 'app.kubernetes.io/created-by'];

/**
 * Who manages this pod's replication, and by which mark that shows; null: nobody that is known. Between such an operator
 * and its pod there mostly is a StatefulSet, so its marks on the pod count as much as an owner reference.
 */
export function replicationManagerOf({ metadata }: Pod): { readonly name: string; readonly mark: string } | null {
  for (const { apiVersion, kind, name: owner } of metadata.ownerReferences) {
    const name = byGroup(apiVersion.split('/', 1)[0] ?? '');
    if (name !== undefined) return { name, mark: `its owner ${kind} ${owner} (${apiVersion})` };
  }
  for (const [key, value] of Object.entries(metadata.labels)) {
    const name = MANAGER_LABELS.includes(key) ? (MANAGERS.get(value) ?? byGroup(value)) : byKey(key);
    if (name !== undefined) return { name, mark: `its label ${key}` };
  }
  for (const key of Object.keys(metadata.annotations)) {
    const name = byKey(key);
    if (name !== undefined) return { name, mark: `its annotation ${key}` };
  }
  return null;
}

function byKey(key: string): string | undefined {
  const slash = key.indexOf('/');
  return slash < 0 ? undefined : byGroup(key.slice(0, slash));
}

/** A subdomain belongs to the owner of the domain: `physicalbackup.k8s.mariadb.com`. */
function byGroup(group: string): string | undefined {
  for (const [known, name] of GROUPS) if (group === known || group.endsWith(`.${known}`)) return name;
  return undefined;
}
