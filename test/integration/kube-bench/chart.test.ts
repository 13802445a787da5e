import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type KubeApi, startKubeApi } from '../../support/kube/api.ts';
import { controlPlane, helm } from '../../support/kube/build.ts';
import { installChart, renderChart } from '../../support/kube/chart.ts';
import { KubeStatusError, callKube } from '../../support/kube/rest.ts';
import { OPERATOR_USER } from '../../support/kube/servers.ts';

describe('the chart on the API server of the bench', () => {
  let dir: string;
  let api: KubeApi;
  let helmProgram: string;

  before(async () => {
    const log = (line: string): void => console.error(line);
    dir = mkdtempSync(join(tmpdir(), 'mxr-kube-'));
    helmProgram = await helm(log);
    api = await startKubeApi({ binaries: await controlPlane(log), dir, address: '127.0.0.1', users: ['stranger'] });
  });

  after(async () => {
    await api?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('is accepted, twice, and gives its rights to the operator alone', async () => {
    await installChart(api, { helm: helmProgram });
    await installChart(api, { helm: helmProgram, values: { logLevel: 'debug' } });
    const read = { method: 'GET', path: '/apis/mxr.dev/v1alpha1/namespaces/mxr/mariadbexternalreplicas' } as const;
    await callKube(api.as(OPERATOR_USER), read);
    await assert.rejects(
      callKube(api.as('stranger'), read),
      (error) => error instanceof KubeStatusError && error.status === 403,
    );
  });

  test('refuses values that its schema does not know', async () => {
    await assert.rejects(renderChart({ helm: helmProgram, values: { noSuchValue: 1 } }), /noSuchValue/);
  });
});
