import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { baseName, component } from '../../../src/salvage/names.ts';
import type { Subject } from '../../../src/salvage/save.ts';
import type { Salvager, SalvageWanted } from '../../../src/salvage/salvager.ts';
import { createSalvager } from '../../../src/salvage/salvager.ts';
import type { Extracted } from '../../../src/sql/binlog/extract.ts';
import { until } from '../../support/wait.ts';

let dir: string;
let now: number;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mxr-salvage-'));
  now = 1_000;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function salvager(): Salvager {
  return createSalvager({
    place: { dir, tool: '/nowhere/mariadb-binlog', maxBytes: 1024 * 1024 },
    clock: { monotonicMs: () => now, wallMs: () => now },
    random: () => 1,
    signal: new AbortController().signal,
    onError: () => undefined,
  });
}

function subject(pod: string, set: string): Subject {
  const server = { hostname: pod, serverId: 7, serverUid: '', startedAt: '2026-03-01T11:00:00.000Z' };
  return {
    set,
    namespace: 'shop',
    name: 'orders',
    pod,
    server,
    verdict: 'Ahead',
    gtids: ['0-1-5'],
    complete: true,
    atLeast: 1,
  };
}

const RESULT: Extracted = { count: 1, size: 4, first: '0-1-5', last: '0-1-5', firstAt: 0, lastAt: 0, cut: null };

function wanted(pod: string, set: string, result: () => Promise<Extracted>): SalvageWanted {
  return {
    subject: subject(pod, set),
    extract: async (sink) => {
      sink.write(Buffer.from('\xfebin', 'latin1'), 0);
      return result();
    },
  };
}

test('saved once, seen again by another process, saved anew when it grew', async () => {
  let read = 0;
  const count = async (): Promise<Extracted> => {
    read += 1;
    return RESULT;
  };
  const first = salvager();
  await saved(first, wanted('r1', 'five', count));
  first.want('shop/orders', [wanted('r1', 'five', count)], () => undefined);
  const second = salvager();
  await saved(second, wanted('r1', 'five', count));
  assert.equal(read, 1);
  await saved(second, wanted('r1', 'six', count));
  assert.equal(read, 2);
  assert.equal(readdirSync(join(dir, 'shop', 'orders')).filter((name) => name.endsWith('.binlog')).length, 2);
});

test('one at a time; a failure is told, tried again after a pause, and holds nobody else up', async () => {
  const one = salvager();
  let most = 0;
  let under = 0;
  let tries = 0;
  const gates: (() => void)[] = [];
  const slow = async (): Promise<Extracted> => {
    most = Math.max(most, (under += 1));
    await new Promise<void>((resolve) => gates.push(resolve));
    under -= 1;
    return RESULT;
  };
  const broken = async (): Promise<Extracted> => {
    tries += 1;
    throw new Error('the server went away');
  };
  const all = [wanted('r1', 'a', broken), wanted('r2', 'b', slow), wanted('r3', 'c', slow)];
  const want = (): void => one.want('shop/orders', all, () => undefined);
  want();
  for (const nth of [1, 2]) {
    await until('the next one is being saved', () => gates.length === nth);
    gates.at(-1)?.();
  }
  await until('the others are saved', () => ['r2', 'r3'].every((pod) => one.of('shop/orders', pod)?.kind === 'Saved'));
  assert.deepEqual(one.of('shop/orders', 'r1'), { kind: 'Failed', message: 'the server went away' });
  assert.equal(most, 1);
  want();
  now += 4_000;
  const fence = wanted('r4', 'd', async () => RESULT);
  one.want('shop/orders', [...all, fence], () => undefined);
  await until('what comes behind it is saved', () => one.of('shop/orders', 'r4')?.kind === 'Saved');
  assert.equal(tries, 1, 'not at every pass');
  now += 1_000;
  want();
  await until('it was tried again', () => tries === 2);
  one.want('shop/orders', [], () => undefined);
  assert.equal(one.of('shop/orders', 'r2'), null);
});

test('names lead nowhere else, and two names never become one', () => {
  for (const name of ['../../etc', '..', '.', '', '/abs', 'a/b', 'a\0b', '-rf', 'x'.repeat(300)]) {
    const safe = component(name);
    assert.match(safe, /^[A-Za-z0-9_][A-Za-z0-9._-]{0,119}$/, JSON.stringify(name));
  }
  assert.notEqual(component('a/b'), component('a_b'));
  assert.notEqual(component('x'.repeat(300)), component('x'.repeat(299)));
  assert.equal(baseName('orders-0', '0-1-5', '0-1-9'), 'orders-0-0-1-5-0-1-9');
  assert.ok(
    baseName(
      'x'.repeat(253),
      '4294967295-4294967295-18446744073709551615',
      '4294967295-4294967295-18446744073709551615',
    ).length < 240,
  );
});

async function saved(one: Salvager, what: SalvageWanted): Promise<void> {
  one.want('shop/orders', [what], () => undefined);
  await until('it is saved', () => {
    const state = one.of('shop/orders', what.subject.pod);
    assert.notEqual(state?.kind, 'Failed', JSON.stringify(state));
    return state?.kind === 'Saved';
  });
}
