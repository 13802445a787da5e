import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { runTool } from '../support/kube/kubectl.ts';
import { cacheDirectory } from '../support/provision.ts';
import { until } from '../support/wait.ts';
import { DemoProcess, ROOT, type Surroundings, newProcesses, surroundings } from './support/demo-process.ts';
import { AS_NOBODY, NOBODY, asNobodyWith, nobodyCannot } from './support/somebody.ts';

// `npm run demo` as a stranger runs it, who will look afterwards whether his machine is still as it was.
const DEADLINE_MS = 90_000;
/** Servers of the pair and replicas. */
const ALL = 5;
const AFTER_THE_CRASH = ALL - 1;
let folder: string;
let places: { HOME: string; TMPDIR: string };
let surrounding: Surroundings;
let demo: DemoProcess | undefined;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'mxr-demo-'));
  chmodSync(folder, 0o755);
  places = { HOME: join(folder, 'home'), TMPDIR: join(folder, 'tmp') };
  mkdirSync(join(folder, 'stash'));
  for (const place of Object.values(places)) mkdirSync(place, { mode: 0o777 });
});
beforeEach(() => {
  surrounding = surroundings(['/run', ...Object.values(places)]);
});
afterEach(async () => {
  demo?.signalJob('SIGKILL');
  await demo?.ends(0);
});
after(() => rmSync(folder, { recursive: true, force: true }));

function start(args: readonly string[] = [], prefix: readonly string[] = []): DemoProcess {
  demo = new DemoProcess({ args, prefix, env: { ...places, MXR_CACHE: cacheDirectory() } });
  return demo;
}

function count(commands: readonly string[], program: string): number {
  return commands.filter((command) => command.split(' ')[0]?.endsWith(`/${program}`) === true).length;
}

/** What is gone afterwards was there. */
function assertRuns(databases: number): void {
  const running = newProcesses(surrounding);
  const found = ['mariadbd', 'kube-apiserver', 'etcd'].map((program) => count(running, program));
  assert.deepEqual(found, [databases, 1, 1], running.join('\n'));
}

async function nothingIsLeft(): Promise<void> {
  let left: readonly string[] = [];
  const gone = (): boolean => (left = newProcesses(surrounding)).length === 0;
  await until('every process of the demo has ended', gone, { deadlineMs: 5_000 }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${left.join('\n')}`, { cause: error });
  });
  const { mounts, interfaces, files } = surroundings(['/run', ...Object.values(places)]);
  const { mounts: mountsBefore, interfaces: interfacesBefore, files: filesBefore } = surrounding;
  assert.deepEqual(
    { mounts, interfaces, files },
    { mounts: mountsBefore, interfaces: interfacesBefore, files: filesBefore },
  );
}

function assertTold({ lines, errors }: DemoProcess): void {
  for (const move of ['hci-a -> hci-b', 'hci-b -> hci-a']) {
    const record = lines.findIndex((line) => /^handover \S+: VipMoved, /u.test(line) && line.includes(move));
    assert.match(lines[record] ?? '', /, Completed in \d+ ms from the VIP's answer$/u, lines.join('\n'));
    const replicas = lines.slice(record + 1, record + 7).filter((line) => /^ {2}r[123]: \w+; /u.test(line));
    assert.equal(replicas.length, 3, lines.join('\n'));
  }
  assert.match(lines.at(-1) ?? '', /everything is stopped; nothing was left behind$/u);
  assert.deepEqual(errors, []);
}

/** The printed commands, run as a person would in another terminal. */
async function lookAround({ lines }: DemoProcess, prefix: readonly string[] = []): Promise<void> {
  const run = async (name: string, stdin: string): Promise<string> => {
    const line = lines.find((one) => one.trimStart().startsWith(`${name}:`)) ?? '';
    const command = line.slice(line.indexOf(':') + 1).trim();
    return runTool([...prefix, 'sh', '-c', command], { stdin, env: { ...places, PATH: '/usr/bin:/bin' } });
  };
  assert.match(await run('status page', ''), /orders/u);
  assert.match(await run('kubectl', ''), /^orders +hci-a +3\/3 /mu);
  assert.match(await run('mariadb', 'SELECT CONCAT("at ", @@hostname)'), /^at r1$/mu);
}

test('it shows both handovers, ends with 0 and leaves nothing behind', async () => {
  const shown = start();
  assert.equal(await shown.ends(DEADLINE_MS), 0, shown.tail());
  assertTold(shown);
  await nothingIsLeft();
});

test('SIGINT in the middle: everything that it started ends, and its directory is gone', async () => {
  const shown = start();
  await shown.says(/adopted: all three replicas follow/u, DEADLINE_MS);
  assertRuns(ALL);
  shown.signal('SIGINT');
  assert.equal(await shown.ends(30_000), 130, shown.tail());
  await nothingIsLeft();
});

test('--keep: what it prints works in another terminal, and Ctrl-C ends it', async () => {
  const shown = start(['--keep']);
  await shown.says(/^ {2}mariadb: /u, DEADLINE_MS);
  assertRuns(AFTER_THE_CRASH);
  await lookAround(shown);
  shown.signalJob('SIGINT');
  assert.equal(await shown.ends(30_000), 0, shown.tail());
  assertTold(shown);
  await nothingIsLeft();
});

test('an unprivileged user: the same, in a user namespace, and what is printed works for him', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('the whole run is one of an unprivileged user');
  for (const place of Object.values(places)) chownSync(place, NOBODY, NOBODY);
  const nobody = asNobodyWith({ checkout: ROOT, cache: cacheDirectory(), stash: join(folder, 'stash') });
  const cannot = nobodyCannot(nobody, join(ROOT, 'scripts/run.mjs'));
  if (cannot !== undefined) return t.skip(`no unprivileged user can run it here: ${cannot}`);
  const shown = start(['--keep'], nobody);
  await shown.says(/^ {2}mariadb: /u, DEADLINE_MS);
  assertRuns(AFTER_THE_CRASH);
  await lookAround(shown, AS_NOBODY);
  shown.signal('SIGTERM');
  assert.equal(await shown.ends(30_000), 0, shown.tail());
  await nothingIsLeft();
});
