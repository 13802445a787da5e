import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, constants, mkdirSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Coordinates } from '../../../src/api/publisher.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { startMariaDb } from '../../support/mariadb.ts';
import { provision } from '../../support/provision.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { LOOK_GRANTS, PASSWORD, createAccount } from '../observe/servers.ts';
import { moveVip, PublisherProcess } from './process.ts';

const sandbox = await enterSandbox();
const VIP = 'fd00:0:0::100';

function of(publisher: PublisherProcess, what: 'cmdline' | 'environ' | 'comm'): string {
  return readFileSync(`/proc/${publisher.pid}/${what}`, 'utf8');
}

/** What the scripts wrote into their files. */
async function statusText({ socket }: MariaDbServer): Promise<string> {
  const { mariadb } = await provision(() => undefined);
  const args = ['--no-defaults', '--user=root', `--socket=${socket}`, '-e', String.raw`SHOW MASTER STATUS\G`];
  return execFileSync(mariadb.client, args, { encoding: 'utf8' });
}

async function endOf(server: MariaDbServer): Promise<{ readonly file: string; readonly position: number }> {
  const { File: file, Position: position } = await server.row('SHOW MASTER STATUS');
  return { file: file ?? '', position: Number(position) };
}

describe('the process of a publisher', { timeout: 180_000 }, () => {
  let server: MariaDbServer;

  before(async () => {
    server = await startMariaDb({ name: 'hci-a', serverId: 1 });
    await createAccount(server, 'mxr_look', LOOK_GRANTS);
  });
  after(() => server?.stop());

  test('says what it needs to hand out binlog files that it may not read', async () => {
    const token = join(sandbox, 'token-plain');
    writeFileSync(token, 'of-a-publisher-that-may-not-read\n');
    const { base = '' } = await server.row('SELECT @@log_bin_basename AS base');
    const { File: file = '' } = await server.row('SHOW MASTER STATUS');
    const path = join(dirname(base ?? ''), file ?? '');
    const mode = statSync(path).mode;
    chmodSync(path, 0);
    try {
      const flags = [`--token-file=${token}`, '--listen-host=127.0.0.1', `--binlog=${base}`];
      const publisher = await PublisherProcess.start({ name: 'plain', server, flags, plain: true });
      const headers = { authorization: 'Bearer of-a-publisher-that-may-not-read' };
      const answer = await fetch(`${publisher.url}/v1/binlog/${file}`, { headers });
      assert.equal(answer.status, 500);
      assert.match(await answer.text(), /needs the group of the database/u);
      assert.equal(await publisher.end(), 0);
    } finally {
      chmodSync(path, mode);
    }
  });

  for (const password of ['file', 'environment'] as const) {
    test(`never shows its password, which comes from the ${password}`, async () => {
      const token = join(sandbox, `token-${password}`);
      execFileSync('sh', ['-c', `openssl rand -hex 32 > ${token}`]);
      const publisher = await PublisherProcess.start({
        name: password,
        server,
        password,
        flags: [`--token-file=${token}`, '--listen-host=127.0.0.1', '--log-level=trace'],
      });
      await until('it has looked', () => publisher.lines.find((line) => line['message'] === 'the database answers'));
      const secrets = [PASSWORD, readFileSync(token, 'utf8').trim()];
      for (const secret of secrets) {
        assert.ok(!of(publisher, 'cmdline').includes(secret));
        assert.ok(!of(publisher, 'comm').includes(secret));
        assert.ok(
          !publisher.output.includes(secret) && !publisher.output.includes(JSON.stringify(secret).slice(1, -1)),
        );
        if (password === 'file') assert.ok(!of(publisher, 'environ').includes(secret));
      }
      assert.match(of(publisher, 'cmdline'), /publisher\0--port=0/u);
      assert.equal((await fetch(`${publisher.url}/v1/coordinates`)).status, 401);
      assert.equal(await publisher.end(), 0);
      assert.ok(!publisher.output.includes(PASSWORD));
    });
  }

  test('without a token it listens on loopback only, and says so; with one and no certificate everywhere, with a warning', async () => {
    const others = '10.9.0.7';
    const loopbackOnly = 'listening on loopback only: nobody but this host can ask';
    const clearText =
      'the token is sent in clear text: set a certificate, or keep this port inside a network that is trusted';
    execFileSync('ip', ['address', 'add', `${others}/32`, 'dev', 'lo']);
    const asked = async ({ url }: PublisherProcess): Promise<number> => {
      const there = url.replace('127.0.0.1', others);
      return (await fetch(`${there}/v1/coordinates`, { signal: AbortSignal.timeout(5_000) })).status;
    };
    const without = await PublisherProcess.start({ name: 'without-token', server });
    await until('it says so', () => without.said({ level: 'info', message: loopbackOnly, host: '127.0.0.1' }));
    assert.match(without.output, /it has no token: set MXR_PUBLISHER_TOKEN_FILE/u);
    assert.equal((await fetch(`${without.url}/v1/coordinates`)).status, 200);
    await assert.rejects(asked(without), (error: Error) => /ECONNREFUSED/u.test(String(error.cause)));
    assert.equal(await without.end(), 0);
    const token = join(sandbox, 'token-without-tls');
    writeFileSync(token, 'of-a-publisher-without-a-certificate');
    const plain = await PublisherProcess.start({ name: 'without-tls', server, flags: [`--token-file=${token}`] });
    await until('it warns', () => plain.said({ level: 'warn', message: clearText }));
    assert.equal(await asked(plain), 401);
    assert.equal(await plain.end(), 0);
    assert.ok(!plain.said({ message: loopbackOnly }) && !without.said({ message: clearText }));
  });

  test('does not start with a password in its arguments', async () => {
    const started = PublisherProcess.start({ name: 'refused', server, flags: ['--db-password', PASSWORD] });
    await assert.rejects(started, (error: Error) => {
      assert.match(error.message, /--db-password: every user of this host can read/u);
      assert.ok(!error.message.includes(PASSWORD));
      return true;
    });
  });

  test('ends with 0 within 10 s, also while its database is frozen', async () => {
    const publisher = await PublisherProcess.start({ name: 'frozen', server });
    await publisher.coordinatesWhen('it has looked', (now) => now.databaseAnswers);
    await server.freeze();
    try {
      await publisher.coordinatesWhen('it is silent', (now) => !now.databaseAnswers, 5_000);
      const asked = performance.now();
      assert.equal(await publisher.end('SIGTERM'), 0);
      assert.ok(performance.now() - asked < 5_000);
    } finally {
      server.thaw();
    }
    assert.equal(publisher.lines.at(-1)?.['message'], 'stopped');
  });

  test('sees an IPv6 VIP in any spelling, and tells whoever listens', async () => {
    const fifo = join(sandbox, 'vrrp');
    execFileSync('mkfifo', [fifo]);
    const pipe = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    const publisher = await PublisherProcess.start({
      name: 'vip',
      server,
      flags: [`--vip=${VIP}`, `--notify-fifo=${fifo}`],
    });
    const listens = { message: 'listening to keepalived', path: fifo };
    await until('it listens to keepalived', () => publisher.said(listens));
    await publisher.coordinatesWhen('it does not hold it', (now) => now.databaseAnswers && now.vipHeld === false);
    const heard: string[] = [];
    const events = await fetch(`${publisher.url}/v1/events`);
    void (async () => {
      for await (const part of events.body ?? []) heard.push(Buffer.from(part as Uint8Array).toString());
    })().catch(() => undefined);
    moveVip('fd00::100', 'add', 'lo');
    writeSync(pipe, 'INSTANCE "VI_1" MASTER 100\n');
    await publisher.coordinatesWhen(
      'a load balancer that routes to both needs it on lo',
      (now) => now.vipHeld === false,
    );
    moveVip('fd00::100', 'del', 'lo');
    moveVip('fd00::100', 'add');
    writeSync(pipe, 'INSTANCE "VI_1" MASTER 100\n');
    await publisher.coordinatesWhen('it holds it', (now) => now.vipHeld === true, 2_000);
    await until('it is told', () => heard.join('').includes('"vipHeld":true'), { deadlineMs: 2_000 });
    moveVip('fd00::100', 'del');
    await publisher.coordinatesWhen('it has lost it', (now) => now.vipHeld === false, 2_000);
    const held = (await publisher.journal()).map(({ vipHeld }) => vipHeld);
    assert.deepEqual(held.slice(-3), [false, true, false]);
    assert.equal(await publisher.end(), 0);
  });

  test('reads its token and imported positions again when they have changed', async () => {
    const [old, next] = ['0123456789abcdef-old', '0123456789abcdef-new'];
    const token = join(sandbox, 'token-changed');
    const directory = join(sandbox, 'pos-changed');
    const [masterEnd, slaveEnd] = ['master', 'slave'].map((of) => join(directory, `mysql-bin-${of}-end.pos`));
    assert.ok(masterEnd !== undefined && slaveEnd !== undefined);
    mkdirSync(directory);
    writeFileSync(token, old);
    const ends = { masterEnd: await endOf(server), slaveEnd: { file: '', position: 0 } };
    writeFileSync(masterEnd, await statusText(server));
    await server.sql('FLUSH BINARY LOGS');
    ends.slaveEnd = await endOf(server);
    writeFileSync(slaveEnd, await statusText(server));
    const publisher = await PublisherProcess.start({
      name: 'files',
      server,
      flags: [`--token-file=${token}`, '--listen-host=127.0.0.1', `--import-pos=${directory}`],
    });
    const ask = (bearer: string): Promise<Response> =>
      fetch(`${publisher.url}/v1/coordinates`, { headers: { authorization: `Bearer ${bearer}` } });
    const { imported } = Coordinates.parse(await (await ask(old)).json());
    for (const which of ['masterEnd', 'slaveEnd'] as const) {
      const { file, position, writtenAt } = imported[which] ?? {};
      assert.deepEqual({ file, position }, ends[which]);
      assert.ok(Math.abs(Date.now() - Date.parse(writtenAt ?? '')) < 60_000, `${which} was written at ${writtenAt}`);
    }
    assert.notEqual(imported.masterEnd?.file, imported.slaveEnd?.file);
    writeFileSync(token, next);
    writeFileSync(masterEnd, 'File: half');
    await until('the old token is refused', async () => (await ask(old)).status === 401, { intervalMs: 200 });
    assert.equal((await ask(next)).status, 200);
    const told = 'the positions of older scripts cannot be read';
    await until('it tells of the damage', () => publisher.lines.find((line) => line['message'] === told));
    assert.deepEqual(Coordinates.parse(await (await ask(next)).json()).imported, imported);
    assert.equal(await publisher.end(), 0);
    assert.ok(![old, next].some((secret) => publisher.output.includes(secret)));
  });

  test('names an imported file that is damaged, and does not start', async () => {
    const directory = join(sandbox, 'pos');
    execFileSync('mkdir', ['-p', directory]);
    execFileSync('sh', ['-c', `echo nonsense > ${directory}/mysql-bin-master-end.pos`]);
    const started = PublisherProcess.start({ name: 'pos', server, flags: [`--import-pos=${directory}`] });
    await assert.rejects(started, /mysql-bin-master-end\.pos/u);
  });
});
