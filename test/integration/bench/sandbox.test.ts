import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { enterSandbox, spawnInSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';

await enterSandbox();
const MARK = 'sleep 86399.125';

/** Command lines of all processes that this process can see; those of inner sandboxes are among them. */
function processes(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(join('/proc', pid, 'cmdline'), 'utf8')
          .replaceAll('\0', ' ')
          .trim();
      } catch {
        return '';
      }
    });
}

function ended(child: ReturnType<typeof spawnInSandbox>): Promise<number | null> {
  return new Promise((resolve) => {
    child.process.once('exit', (code) => resolve(code));
  });
}

describe('the sandbox', () => {
  it('has its own interfaces, processes and /run, and gives the exit code on', async () => {
    const script = 'ip netns add inner && test "$(ls /sys/class/net)" && ip -o link | wc -l && pwd && exit 7';
    const child = spawnInSandbox('sh', ['-c', script], { stdio: 'pipe' });
    let output = '';
    child.process.stdout?.on('data', (text: Buffer) => {
      output += text.toString();
    });
    assert.equal(await ended(child), 7);
    assert.deepEqual(output.trim().split('\n'), ['1', process.cwd()]);
    assert.equal(execFileSync('ip', ['netns']).toString(), '', 'the inner name stayed inside');
  });

  it('ends with everything in it when the outer side goes away, whatever runs inside', async () => {
    const child = spawnInSandbox('sh', ['-c', `trap '' TERM INT HUP; setsid ${MARK} & wait`], { stdio: 'pipe' });
    const end = ended(child);
    await until('the background process runs', () => processes().includes(MARK));
    child.kill();
    await end;
    await until('no process of the sandbox is left', () => !processes().includes(MARK));
  });

  it('passes signals to the main process', async () => {
    const child = spawnInSandbox('sh', ['-c', `trap 'exit 9' TERM; echo go >&1; while :; do sleep 0.05; done`], {
      stdio: 'pipe',
    });
    await new Promise((resolve) => child.process.stdout?.once('data', resolve));
    child.signal('SIGTERM');
    assert.equal(await ended(child), 9);
  });
});
