import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { constants, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import type { NetworkInterfaceInfo } from 'node:os';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { createLogger } from '../../../src/ops/log.ts';
import { createSecrets } from '../../../src/ops/secrets.ts';
import type { VipWatch, VipWatchOptions } from '../../../src/publisher/vip.ts';
import { sameAddress, watchVip } from '../../../src/publisher/vip.ts';
import { until } from '../../support/wait.ts';

const lines: string[] = [];
const log = createLogger({
  level: 'info',
  clock: systemClock,
  secrets: createSecrets(),
  write: (line) => lines.push((JSON.parse(line) as { message: string }).message),
});

function interfacesWith(...addresses: readonly string[]): NodeJS.Dict<NetworkInterfaceInfo[]> {
  const infos = addresses.map((address) => ({ address, netmask: '', mac: '', internal: false, cidr: null }));
  return { lo: [], eth0: infos.map((info) => ({ ...info, family: 'IPv4' })) };
}

interface Watched {
  readonly watch: VipWatch;
  readonly changes: (boolean | null)[];
  readonly set: (...addresses: readonly string[]) => void;
  readonly asked: () => number;
}

const open: VipWatch[] = [];
afterEach(() => {
  for (const watch of open.splice(0)) watch.stop();
  lines.length = 0;
});

function watched(options: Partial<VipWatchOptions> = {}, ...addresses: readonly string[]): Watched {
  let here = interfacesWith(...addresses);
  let asked = 0;
  const changes: (boolean | null)[] = [];
  const interfaces = (): typeof here => {
    asked += 1;
    return here;
  };
  const onChange = (held: boolean | null): void => void changes.push(held);
  const watch = watchVip({
    address: '10.0.0.100',
    interfaces,
    fifo: null,
    clock: systemClock,
    log,
    onChange,
    ...options,
  });
  open.push(watch);
  return { watch, changes, set: (...now) => (here = interfacesWith(...now)), asked: () => asked };
}

describe('the VIP on this host', () => {
  test('is seen at the start, and whenever it comes or goes', async () => {
    const { watch, changes, set } = watched({}, '10.0.0.11', '10.0.0.100');
    assert.equal(watch.held(), true);
    set('10.0.0.11', '10.0.0.10');
    await until('it is gone', () => watch.held() === false, { deadlineMs: 2_000, intervalMs: 5 });
    set('10.0.0.100');
    await until('it is back', () => watch.held() === true, { deadlineMs: 2_000, intervalMs: 5 });
    assert.deepEqual(changes, [true, false, true]);
  });

  test('is seen at once by whoever asks', () => {
    const { watch, changes, set } = watched();
    set('10.0.0.100');
    assert.equal(watch.held(), false);
    assert.equal(watch.check(), true);
    assert.deepEqual(changes, [false, true]);
  });

  test('is not known where nobody said which address it is, and nothing is asked', () => {
    const { watch, changes, asked } = watched({ address: null }, '10.0.0.100');
    assert.equal(watch.check(), null);
    assert.deepEqual(changes, []);
    assert.equal(asked(), 0);
  });

  test('is not known while the interfaces cannot be listed, which is told once', async () => {
    let asked = 0;
    const interfaces = (): never => {
      asked += 1;
      throw new Error('not allowed');
    };
    const { watch } = watched({ interfaces });
    await until('it asked several times', () => asked > 2, { deadlineMs: 2_000, intervalMs: 5 });
    assert.equal(watch.held(), null);
    assert.deepEqual(lines, ['the interfaces of this host cannot be listed']);
  });

  test('on the loopback interface is no sign: behind a load balancer that routes, every host has it there', () => {
    const info = { netmask: '', mac: '', cidr: null, family: 'IPv4', address: '10.0.0.100' } as const;
    const { watch } = watched({ interfaces: () => ({ lo: [{ ...info, internal: true }] }) });
    assert.equal(watch.held(), false);
  });

  test('is compared by value', () => {
    const same = [
      ['10.0.0.100', '10.0.0.100'],
      ['fd00::0:1', 'FD00:0:0:0:0:0:0:1'],
      ['10.0.0.100', '::ffff:10.0.0.100'],
      ['fe80::1', 'fe80::1%eth0'],
    ] as const;
    for (const [a, b] of same) assert.ok(sameAddress(a, b) && sameAddress(b, a), `${a} ${b}`);
    for (const other of ['10.0.0.10', '10.0.0.1', '110.0.0.100', 'fd00::1', '', 'host']) {
      assert.equal(sameAddress(other, '10.0.0.100'), false, other);
    }
  });
});

describe("keepalived's pipe", () => {
  const directory = mkdtempSync(join(tmpdir(), 'mxr-fifo-'));
  const path = join(directory, 'vrrp');
  after(() => rmSync(directory, { recursive: true, force: true }));

  function makePipe(): number {
    rmSync(path, { force: true });
    execFileSync('mkfifo', [path]);
    // As keepalived opens it.
    return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  }

  test('wakes: the interfaces are asked at once and often, and they alone decide', async () => {
    const fd = makePipe();
    const { watch, asked } = watched({ fifo: path });
    await until('it listens', () => lines.includes('listening to keepalived'), { deadlineMs: 2_000, intervalMs: 5 });
    const before = asked();
    writeSync(fd, 'INSTANCE "VI_1" MASTER 100\n');
    // In calm it would be asked ten times a second.
    await until('it asks often', () => asked() >= before + 15, { deadlineMs: 1_000, intervalMs: 5 });
    assert.equal(watch.held(), false);
  });

  test('once the change is found they are asked as in calm again', async () => {
    const fd = makePipe();
    const { watch, set, asked } = watched({ fifo: path });
    await until('it listens', () => lines.includes('listening to keepalived'), { deadlineMs: 2_000, intervalMs: 5 });
    const before = asked();
    writeSync(fd, 'INSTANCE "VI_1" MASTER 100\n');
    await until('it asks often', () => asked() >= before + 5, { deadlineMs: 2_000, intervalMs: 1 });
    set('10.0.0.100');
    await until('the address is seen', () => watch.held() === true, { deadlineMs: 2_000, intervalMs: 1 });
    const found = { asked: asked(), atMs: systemClock.monotonicMs() };
    await until('it asked four times more', () => asked() >= found.asked + 4, { deadlineMs: 5_000, intervalMs: 1 });
    const took = systemClock.monotonicMs() - found.atMs;
    assert.ok(took >= 250, `ten times a second, not a hundred times: it took ${took} ms`);
  });

  test('is opened again when keepalived makes it anew, and may be missing', async () => {
    makePipe();
    const { asked } = watched({ fifo: path });
    const heard = (count: number) => (): boolean =>
      lines.filter((line) => line === 'listening to keepalived').length === count;
    await until('it listens', heard(1), { deadlineMs: 2_000, intervalMs: 5 });
    rmSync(path);
    const during = asked();
    await until('it goes on without', () => asked() > during + 2, { deadlineMs: 2_000, intervalMs: 5 });
    const fd = makePipe();
    await until('it listens again', heard(2), { deadlineMs: 2_000, intervalMs: 5 });
    const before = asked();
    writeSync(fd, 'INSTANCE "VI_1" BACKUP 100\n');
    await until('it asks often', () => asked() >= before + 15, { deadlineMs: 1_000, intervalMs: 5 });
  });

  test('is not taken for one where it is something else, which is told once', async () => {
    rmSync(path, { force: true });
    writeFileSync(path, 'INSTANCE "VI_1" MASTER 100\n');
    const { asked } = watched({ fifo: path });
    await until('it asked several times', () => asked() > 3, { deadlineMs: 2_000, intervalMs: 5 });
    assert.deepEqual(lines, ['the pipe of keepalived cannot be read']);
  });
});
