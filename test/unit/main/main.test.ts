import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { CONFIG_OPTIONS, PUBLISHER_OPTIONS } from '../../../src/config.ts';
import { main } from '../../../src/main.ts';

const ROOT = join(import.meta.dirname, '../../..');

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function mxr(args: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  let out = '';
  let err = '';
  const code = await main(args, {
    source: { env, readFile: () => 'databases', hostname: () => 'host-1' },
    events: { on: () => undefined },
    exit: () => assert.fail('it exited'),
    out: (text) => (out += text),
    err: (text) => (err += text),
  });
  return { code, out, err };
}

describe('mxr', () => {
  it('lists its commands', async () => {
    for (const args of [[], ['--help'], ['-h'], ['help']]) {
      const { code, out } = await mxr(args);
      assert.equal(code, 0);
      assert.match(out, /operator +run the operator\n/u);
      assert.match(out, /publisher +run beside a MariaDB of the pair and publish what it knows\n/u);
      assert.match(out, /promote .*\(not implemented yet\)\n/u);
    }
  });

  it('says its version', async () => {
    assert.match((await mxr(['--version'])).out, /^mxr \d+\.\d+\.\d+\n$/u);
  });

  it('refuses an unknown command, with the list and the nearest one', async () => {
    const { code, err } = await mxr(['operater']);
    assert.equal(code, 2);
    assert.match(err, /no command "operater"; did you mean operator\?\ncommands: operator, publisher, /u);
  });

  it('does not pretend that a command exists', async () => {
    for (const name of 'status plan history doctor approve suspend resume report explain promote'.split(' ')) {
      assert.deepEqual(await mxr([name]), { code: 2, out: '', err: `mxr ${name}: not implemented yet\n` });
    }
  });

  it('lists every setting of the operator', async () => {
    for (const args of [
      ['operator', '--help'],
      ['help', 'operator'],
    ]) {
      const { code, out } = await mxr(args);
      assert.equal(code, 0);
      for (const { name, flag } of CONFIG_OPTIONS) assert.ok(out.includes(name) && out.includes(flag), name);
    }
  });

  it('lists every setting of the publisher', async () => {
    const { code, out } = await mxr(['publisher', '--help']);
    assert.equal(code, 0);
    for (const { name, flag } of PUBLISHER_OPTIONS) assert.ok(out.includes(name) && out.includes(flag), name);
  });

  it('does not start the publisher with a setting that it does not know, and never shows a password', async () => {
    const { code, err } = await mxr(['publisher', '--db-password', 'hunter2', '--vpi=10.0.0.1']);
    assert.equal(code, 2);
    assert.match(err, /--db-password: every user of this host can read the arguments/u);
    assert.match(err, /--vpi: there is no such flag; did you mean --vip\?/u);
    assert.match(err, /mxr publisher --help lists every setting/u);
    assert.doesNotMatch(err, /hunter2/u);
  });

  it('does not start the operator with a setting that it does not know', async () => {
    const { code, err } = await mxr(['operator', '--http-prot=1'], { MXR_LOG_LEVEL: 'loud' });
    assert.equal(code, 2);
    assert.match(err, /--http-prot: there is no such flag; did you mean --http-port\?/u);
    assert.match(err, /MXR_LOG_LEVEL: "loud" is none of/u);
  });

  it('runs as a program, on the Node.js that is there', async () => {
    const child = spawn(join(ROOT, 'bin/mxr.mjs'), ['--version'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [out] = (await once(child.stdout, 'data')) as [Buffer];
    assert.match(out.toString('utf8'), /^mxr \d/u);
  });
});

interface Service {
  readonly child: ChildProcess;
  readonly messages: string[];
  /** [exit code, signal] */
  readonly exited: Promise<unknown[]>;
}

async function service(behaviour: string, graceMs = 5000): Promise<Service> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'service-fixture.ts'), behaviour, String(graceMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const messages: string[] = [];
  let rest = '';
  const started = new Promise<void>((resolve) => {
    child.stdout.on('data', (part: Buffer) => {
      const lines = (rest + part.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      messages.push(...lines.map((line) => (JSON.parse(line) as { message: string }).message));
      resolve();
    });
  });
  const exited = once(child, 'close');
  await started;
  return { child, messages, exited };
}

describe('a service', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`ends with 0 when ${signal} asks it to`, async () => {
      const { child, messages, exited } = await service('obey');
      child.kill(signal);
      assert.deepEqual(await exited, [0, null]);
      assert.deepEqual(messages, ['running', 'stopping', 'stopped']);
    });
  }

  it('ends with 1 when its grace is over', async () => {
    const { child, messages, exited } = await service('hang', 500);
    child.kill('SIGTERM');
    assert.deepEqual(await exited, [1, null]);
    assert.equal(messages.at(-1), 'the service did not end within its grace');
  });

  it('ends at once at a second signal, but one Ctrl-C that arrives twice is one', async () => {
    const { child, messages, exited } = await service('hang', 60_000);
    child.kill('SIGINT');
    child.kill('SIGTERM');
    await delay(600);
    assert.equal(child.exitCode, null);
    child.kill('SIGTERM');
    assert.deepEqual(await exited, [143, null]);
    assert.equal(messages.at(-1), 'stopped at once by a second signal');
  });

  it('ends with 1 when it fails, when it ends by itself, and when nobody caught an error', async () => {
    const cases = {
      reject: 'the service failed',
      return: 'the service ended without being asked to',
      unhandled: 'nobody caught this error',
    };
    for (const [behaviour, message] of Object.entries(cases)) {
      const { messages, exited } = await service(behaviour);
      assert.deepEqual(await exited, [1, null], behaviour);
      assert.equal(messages.at(-1), message);
    }
  });
});
