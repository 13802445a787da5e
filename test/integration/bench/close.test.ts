import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { it } from 'node:test';
import { createBench } from '../../support/bench.ts';
import { exec } from '../../support/exec.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { Writer } from '../../support/writer.ts';

await enterSandbox();

it('leaves no process, network or mount when it is closed', async () => {
  const before = await left();
  const bench = await createBench({ replicas: { count: 1 } });
  const writer = new Writer(bench);
  try {
    await writer.writes(1);
    assert.notDeepEqual(await left(), before, 'the comparison sees a running bench');
  } finally {
    await bench.close();
  }
  await assert.rejects(writer.stop(), /ended with a signal/);
  assert.deepEqual(await left(), before);
});

/** What a bench could leave: programs, network links, namespaces and mounts. */
async function left(): Promise<Record<string, string[]>> {
  const programs = (await exec(['ps', '-e', '-o', 'comm='])).trim().split('\n');
  const links = (await exec(['ip', '-o', 'link'])).matchAll(/^\d+: ([^:@]+)/gm);
  return {
    programs: programs.filter((name) => name !== 'ps').sort(),
    links: [...links].map((match) => match[1] ?? ''),
    namespaces: readdirSync('/run/netns'),
    mounts: readFileSync('/proc/mounts', 'utf8').split('\n').sort(),
  };
}
