// The one entry of every npm script. Plain JavaScript, because it must run on the Node.js that the machine has
// (>= 20) before anything is installed: it brings the locked packages and the locked Node.js 24, then hands over.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const TASKS = {
  demo: 'test/demo/main.ts',
  test: 'test/run.ts',
  check: 'test/check.ts',
  bench: 'test/bench/main.ts',
  chaos: 'test/chaos/main.ts',
  'bench-scale': 'test/bench/scale.ts',
  generate: 'scripts/generate.ts',
  exec: '',
};

const [task, ...args] = process.argv.slice(2);
if (task === undefined || !(task in TASKS))
  fail(`usage: node scripts/run.mjs <${Object.keys(TASKS).join('|')}> [args]`);
installPackages();
const node = node24();
const script = task === 'exec' ? args.shift() : join(root, TASKS[task]);
const child = spawn(node, [script, ...args], {
  stdio: 'inherit',
  env: { ...process.env, PATH: `${dirname(node)}:${join(root, 'node_modules/.bin')}:${process.env.PATH}` },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => fail(`could not start Node.js 24: ${error.message}`));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)));

/** `npm ci` when node_modules does not match the lock file; a stamp inside node_modules remembers what it matches. */
function installPackages() {
  const hash = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const stamp = join(root, 'node_modules/.mxr-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  process.stderr.write('installing npm packages from the lock file ...\n');
  const done = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    timeout: 600_000,
  });
  if (done.status !== 0) fail('npm ci failed; its output is above. Needed: npm and a reachable npm registry.');
  writeFileSync(stamp, hash);
}

function node24() {
  const arch = { x64: 'x64', arm64: 'arm64' }[process.arch];
  const locked = join(root, `node_modules/node-linux-${arch}/bin/node`);
  if (existsSync(locked)) return locked;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  return fail(
    `Node.js 24 is needed and the locked package node-linux-${process.arch} is not there; install Node.js >= 24`,
  );
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
