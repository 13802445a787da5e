import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Stage } from '../e2e/support/stage.ts';
import { controlPlane } from '../support/kube/build.ts';
import { findProgram } from '../support/provision.ts';
import { sandboxEntrance } from '../support/sandbox.ts';

const PAGE = 'http://127.0.0.1:8080/';

/** Prints how a second terminal of the same user reaches what runs in the namespaces of the demo. */
export async function printHowToLook(stage: Stage): Promise<void> {
  const enter = sandboxEntrance();
  if (enter === undefined) throw new Error('the demo runs in a sandbox only');
  const commands = { 'status page': statusPage(stage), kubectl: await kubectl(stage), mariadb: mariadb(stage) };
  const lines = Object.entries(commands).map(([name, command]) => `  ${`${name}:`.padEnd(13)}${enter} ${command}`);
  process.stdout.write(
    `\nIt keeps running; Ctrl-C ends everything. From another terminal of the same user:\n${lines.join('\n')}\n`,
  );
}

/** Only the loopback peers of the operator's host are answered. curl is no part of a fresh machine. */
function statusPage({ bench }: Stage): string {
  const read = `fetch("${PAGE}").then(async (page) => console.log(await page.text()))`;
  const client =
    findProgram('curl') === undefined ? `${quoted(process.execPath)} -e '${read}'` : `curl -s --noproxy '*' ${PAGE}`;
  return `nsenter --net=/run/netns/${bench.op.name} ${client}`;
}

async function kubectl({ bench, api }: Stage): Promise<string> {
  const kubeconfig = join(bench.op.directory, 'admin.kubeconfig');
  writeFileSync(kubeconfig, api.adminKubeconfig, { mode: 0o600 });
  const { kubectl: program } = await controlPlane(() => undefined);
  const cache = join(bench.op.directory, 'kubectl-cache');
  return `${quoted(program)} --kubeconfig=${kubeconfig} --cache-dir=${cache} -n mxr get mxr orders -o wide`;
}

function mariadb({ bench }: Stage): string {
  return `${quoted(bench.tools.mariadb.client)} --no-defaults --socket=${bench.replicas[0]?.db.socket ?? ''} -u root app`;
}

/** The cache is in a home directory, whatever that is called. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/u.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
