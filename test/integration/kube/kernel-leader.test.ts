import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, before, describe, it } from 'node:test';
import { startKubeApi } from '../../support/kube/api.ts';
import type { KubeApi } from '../../support/kube/api.ts';
import { controlPlane } from '../../support/kube/build.ts';
import { until } from '../../support/wait.ts';

/** When a process said that it leads, on the machine's monotonic clock. */
interface Claim {
  readonly who: string;
  readonly atMs: number;
  readonly epoch: number;
}

const LEASE = { api: 'coordination.k8s.io/v1', plural: 'leases', namespace: 'default', name: 'elected' } as const;

describe('leader election between processes, on a real API server', () => {
  let dir: string;
  let api: KubeApi;
  let claims: Claim[] = [];
  let children: ChildProcess[] = [];

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'mxr-elect-'));
    const binaries = await controlPlane((line) => console.error(line));
    api = await startKubeApi({ binaries, dir, address: '127.0.0.1' });
    writeFileSync(join(dir, 'config'), api.adminKubeconfig, { mode: 0o600 });
  });

  afterEach(async () => {
    await Promise.all(children.map(end));
    children = [];
    claims = [];
    await api.remove(LEASE);
  });

  after(async () => {
    await api?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  function start(who: string): ChildProcess {
    const program = join(import.meta.dirname, 'kernel-elector.ts');
    const child = spawn(process.execPath, [program, join(dir, 'config'), who], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface(child.stdout).on('line', (line) => {
      claims.push({ who, ...(JSON.parse(line) as Omit<Claim, 'who'>) });
    });
    children.push(child);
    return child;
  }

  function leads(who: string): boolean {
    return claims.at(-1)?.who === who;
  }

  function claimsOf(who: string): readonly Claim[] {
    return claims.filter((claim) => claim.who === who);
  }

  it('a leader frozen past its lease claims nothing when it wakes', async () => {
    const a = start('a');
    await until('a leads', () => leads('a'));
    start('b');
    a.kill('SIGSTOP');
    await until('b leads', () => leads('b'), { deadlineMs: 15_000 });
    const wokenAtMs = nowMs();
    a.kill('SIGCONT');
    await until('b has led for half a second more', () => claimsOf('b').length > 50);
    assert.ok(
      claimsOf('a').every((claim) => claim.atMs < wokenAtMs),
      'it claimed to lead after it woke',
    );
    neverBoth(claims);
  });

  it('a leader that ends hands over within a second', async () => {
    const a = start('a');
    await until('a leads', () => leads('a'));
    start('b');
    await until('both have started', () => claimsOf('a').length > 100);
    a.kill('SIGTERM');
    await until('b leads', () => leads('b'));
    const gapMs = (claimsOf('b')[0]?.atMs ?? Infinity) - (claimsOf('a').at(-1)?.atMs ?? 0);
    // Exact times are shown in virtual time (test/model/kube); here only that the Lease was given up at all.
    assert.ok(gapMs < 10_000, `${gapMs} ms without a leader`);
    neverBoth(claims);
  });

  it('a leader that is killed is followed within two lease durations', async () => {
    const a = start('a');
    await until('a leads', () => leads('a'));
    start('b');
    await until('both have started', () => claimsOf('a').length > 100);
    a.kill('SIGKILL');
    await until('b leads', () => leads('b'), { deadlineMs: 30_000 });
    neverBoth(claims);
  });

  it('while the API server is frozen nobody leads for long, and one leads again afterwards', async () => {
    start('a');
    start('b');
    await until('one leads', () => claims.length > 0);
    await api.freeze();
    await until('nobody claims to lead', () => (claims.at(-1)?.atMs ?? 0) < nowMs() - 1_000);
    const lastMs = claims.at(-1)?.atMs ?? 0;
    api.thaw();
    await until('one leads again', () => (claims.at(-1)?.atMs ?? 0) > lastMs);
    await until('for a while', () => claims.filter((claim) => claim.atMs > lastMs).length > 50);
    neverBoth(claims);
  });
});

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Terms do not overlap: whoever has the higher epoch claims only after the last claim of the lower one. */
function neverBoth(claims: readonly Claim[]): void {
  const inOrder = claims.toSorted((a, b) => a.atMs - b.atMs);
  for (const [index, claim] of inOrder.entries()) {
    const before = inOrder[index - 1];
    if (before === undefined) continue;
    assert.ok(
      claim.epoch >= before.epoch,
      `${claim.who} still led ${claim.atMs - before.atMs} ms into ${before.who}'s term`,
    );
    if (claim.epoch === before.epoch) assert.equal(claim.who, before.who, 'two processes with one epoch');
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}
