import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Stage } from '../e2e/support/stage.ts';

/** Prints how a second terminal reaches what runs in the namespaces of the demo. */
export function printHowToLook(stage: Stage): void {
  const { bench, api } = stage;
  const kubeconfig = join(bench.op.directory, 'admin.kubeconfig');
  writeFileSync(kubeconfig, api.adminKubeconfig, { mode: 0o600 });
  const user =
    process.getuid?.() === 0 && process.env['MXR_DEMO_USERNS'] === undefined ? '' : '--user --preserve-credentials ';
  const enter = `nsenter --target $(pgrep -P ${process.env['MXR_DEMO_OUTER_PID'] ?? '?'} unshare) ${user}--net --mount`;
  const lines = [
    'It keeps running; Ctrl-C ends everything. From another terminal:',
    `  in=\`echo ${enter}\``,
    `  status page:  $in nsenter --net=/run/netns/op curl -s http://127.0.0.1:8080/`,
    `  kubectl:      $in ${bench.tools.mariadb.client === '' ? '' : ''}kubectl --kubeconfig ${kubeconfig} -n mxr get mxr orders -o wide`,
    `  mariadb:      $in ${bench.tools.mariadb.client} --no-defaults --socket ${bench.replicas[0]?.db.socket ?? ''} -u root app`,
  ];
  process.stdout.write(`\n${lines.join('\n')}\n`);
}
