import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withLock } from './lock.ts';
import type { MariaDbTools } from './provision.ts';

const run = promisify(execFile);
const INSTALL_DEADLINE_MS = 120_000;

/** Small, because every server's copy lies in memory. */
export const REDO_LOG_SIZE = '16M';

/** The path of an empty data directory of this MariaDB version; made once, to be copied and never started. */
export async function templateDirectory(tools: MariaDbTools, cache: string): Promise<string> {
  const version = spawnSync(tools.server, ['--version'], { encoding: 'utf8' }).stdout.replace(/^\S+/, '');
  const key = createHash('sha256')
    .update(version + REDO_LOG_SIZE)
    .digest('hex')
    .slice(0, 12);
  const template = join(cache, `datadir-${key}`);
  if (existsSync(template)) return template;
  mkdirSync(cache, { recursive: true });
  await withLock(join(cache, 'datadir.lock'), INSTALL_DEADLINE_MS * 2, async () => {
    if (!existsSync(template)) await makeTemplate(tools, cache, template);
  });
  return template;
}

async function makeTemplate(tools: MariaDbTools, cache: string, template: string): Promise<void> {
  const work = mkdtempSync(join(cache, 'install-'));
  try {
    const args = [
      '--no-defaults',
      `--datadir=${work}/data`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--skip-name-resolve',
      `--innodb-log-file-size=${REDO_LOG_SIZE}`,
      ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    ];
    await run(tools.installDb, args, { timeout: INSTALL_DEADLINE_MS, cwd: work });
    renameSync(join(work, 'data'), template);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
