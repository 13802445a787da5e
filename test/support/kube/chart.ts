import { join } from 'node:path';
import type { KubeApi } from './api.ts';
import { kubernetesVersion } from './build.ts';
import { runTool } from './kubectl.ts';
import { KubeStatusError } from './rest.ts';
import { until } from '../wait.ts';

export interface ChartOptions {
  /** The program, from `helm` in build.ts. */
  readonly helm: string;
  /** Default `mxr`, where `OPERATOR_USER` lives. */
  readonly namespace?: string;
  /** What the user would write into his values file. */
  readonly values?: Readonly<Record<string, unknown>>;
}

const CHART = join(import.meta.dirname, '../../../charts/mxr');

/** The manifests of charts/mxr, as `helm install mxr` would send them. */
export function renderChart({ helm, namespace = 'mxr', values = {} }: ChartOptions): Promise<string> {
  const version = `--kube-version=${kubernetesVersion()}`;
  const args = ['template', 'mxr', CHART, `--namespace=${namespace}`, version, '--values=-'];
  return runTool([helm, ...args], { stdin: JSON.stringify(values) });
}

/**
 * Applies the chart and resolves when its resource can be used. Nothing runs the Deployment here: start the operator
 * as `OPERATOR_USER`, who then has exactly the chart's rights.
 */
export async function installChart(api: KubeApi, options: ChartOptions): Promise<void> {
  await api.createNamespace(options.namespace ?? 'mxr');
  await api.apply(await renderChart(options));
  const crds = await api.list({ api: 'apiextensions.k8s.io/v1', plural: 'customresourcedefinitions' });
  if (crds.length === 0) return;
  await api.kubectl(['wait', '--for=condition=Established', '--timeout=30s', 'crd', '--all']);
  // Established comes before the storage is there: until then lists answer 429.
  await until('the resource can be listed', () => canList(api), { deadlineMs: 30_000 });
}

async function canList(api: KubeApi): Promise<boolean> {
  try {
    await api.list({ api: 'mxr.dev/v1alpha1', plural: 'mariadbexternalreplicas' });
    return true;
  } catch (error) {
    if (error instanceof KubeStatusError && error.status === 429) return false;
    throw error;
  }
}
