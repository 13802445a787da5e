#!/usr/bin/env node
// Runs src/main.ts on Node.js >= 24, which this process may or may not be. Plain JavaScript for that reason.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, 'src/main.ts');

if (Number(process.versions.node.split('.')[0]) >= 24) {
  const { runProcess } = await import(pathToFileURL(main).href);
  await runProcess();
} else {
  hand(join(root, `node_modules/node-linux-${process.arch}/bin/node`));
}

function hand(node) {
  if (!existsSync(node)) {
    process.stderr.write(
      `mxr needs Node.js >= 24; this is ${process.version}, and the locked one is not installed: run npm ci, or install Node.js 24\n`,
    );
    process.exit(1);
  }
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`could not start Node.js 24: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)));
}
