import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Bench, createBench } from '../../support/bench.ts';
import { HOST_FILES, HOST_SCRIPTS, hostFile, siteConf } from '../../support/host-files.ts';
import { runsScripts } from '../../support/keepalived-files.ts';
import type { Member } from '../../support/member.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';

await enterSandbox();
const SCRIPTS = { skip: runsScripts() ? false : 'keepalived cannot run scripts here' };
const CONFIGURATIONS = ['keepalived-nopreempt.conf', 'keepalived-preempt.conf'] as const;

describe('the shipped files on the hosts of the bench', () => {
  let bench: Bench;

  before(async () => {
    // So many failed checks that only the first one of all counts at once.
    bench = await createBench({ replicas: { count: 0 }, fall: 60 });
  });
  after(async () => bench.close());

  async function readOnly(member: Member): Promise<boolean> {
    return (await member.db.row('SELECT @@read_only AS ro'))['ro'] === '1';
  }

  for (const name of CONFIGURATIONS) {
    for (const adverts of ['multicast', 'unicast']) {
      test(`keepalived accepts ${name} as it is, with the shipped site.conf: ${adverts}`, SCRIPTS, async () => {
        const directory = join(bench.a.host.directory, `${adverts}-${name}`);
        mkdirSync(directory);
        for (const script of HOST_SCRIPTS) copyFileSync(join(HOST_FILES, script), join(directory, script));
        // Users that this machine does not have; nothing else is changed.
        const site = siteConf({ SCRIPT_USER: 'root', FIFO_USER: 'root' });
        writeFileSync(join(directory, 'site.conf'), adverts === 'multicast' ? site : withUnicast(site));
        const configuration = join(directory, 'keepalived.conf');
        writeFileSync(configuration, hostFile(name));
        const log = join(directory, 'log');
        const check = `"${bench.tools.keepalived}" -t -l -f "${configuration}" >"${log}" 2>&1 || { cat "${log}" >&2; exit 1; }`;
        await bench.a.host.exec(['sh', '-c', check]);
        assert.equal(readFileSync(log, 'utf8'), '');
      });
    }
  }

  test('they are what is shipped', SCRIPTS, () => {
    const installed = (name: string): string => readFileSync(join(bench.a.keepalived.directory, name), 'utf8');
    for (const script of HOST_SCRIPTS) assert.equal(installed(script), hostFile(script), script);
    assert.equal(installed('keepalived.conf'), hostFile('keepalived-nopreempt.conf'));
  });

  test('a move closes the one side, opens the other, and both pipes tell it at once', async () => {
    assert.deepEqual([await readOnly(bench.a), await readOnly(bench.b)], [false, true]);
    const pipes = [bench.a, bench.b].map(({ keepalived }) => new Pipe(keepalived.fifo));
    await bench.a.planned();
    await bench.holderIs(bench.b);
    await until('a is closed', () => readOnly(bench.a));
    const told = pipes.map((pipe) => pipe.read());
    for (const pipe of pipes) pipe.close();
    assert.match(told[0] ?? '', /INSTANCE "pair" STOP \d+\n/u);
    assert.match(told[1] ?? '', /INSTANCE "pair" MASTER \d+\n/u);
    await bench.rejoin(bench.a, 'keep');
  });

  test('a host that boots with a dead database does not take the VIP, however patient the check is', async () => {
    const { a, b } = bench;
    await a.keepalived.stop();
    await a.db.stop();
    const said = (): number =>
      readFileSync(join(a.keepalived.directory, 'scripts.log'), 'utf8').split('cannot serve').length;
    const before = said();
    const started = a.keepalived.start();
    await b.keepalived.stop();
    // Three adverts without an answer would be enough to take it.
    await until('the check has failed often', () => said() >= before + 6);
    assert.equal(await a.holdsVip(), false);
    await a.db.start();
    await started;
    await bench.holderIs(a);
  });
});

/** With the lines of README.md in the place of the one that is shipped, as they are there. */
function withUnicast(site: string): string {
  const lines = /^```\n(\$UNICAST= \\\n(?:.*\n)*?)```$/mu.exec(hostFile('README.md'))?.[1];
  assert.ok(lines !== undefined, 'README.md has the lines');
  assert.match(site, /^\$UNICAST=\n/mu);
  return site.replace(/^\$UNICAST=\n/mu, () => lines);
}

/** Reads what keepalived has written into its pipe, as the publisher does. */
class Pipe {
  readonly #descriptor: number;

  constructor(path: string) {
    this.#descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  read(): string {
    const buffer = Buffer.alloc(65_536);
    return buffer.toString('utf8', 0, readSync(this.#descriptor, buffer));
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
