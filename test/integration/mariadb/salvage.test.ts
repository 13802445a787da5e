import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { parsePosition } from '../../../src/domain/gtid.ts';
import type { Gtid } from '../../../src/domain/gtid.ts';
import type { Coordinates } from '../../../src/domain/observation.ts';
import type { FileSink } from '../../../src/salvage/file-sink.ts';
import type { Manifest } from '../../../src/salvage/manifest.ts';
import type { Place, Subject } from '../../../src/salvage/save.ts';
import { findSaved, salvageFailure, save } from '../../../src/salvage/save.ts';
import type { DumpLimits } from '../../../src/sql/binlog/dump.ts';
import { extract } from '../../../src/sql/binlog/extract.ts';
import type { SqlTarget } from '../../../src/sql/port.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { provision } from '../../support/provision.ts';
import { enterSandbox } from '../../support/sandbox.ts';

// What only one server has is saved as a binlog file that a person can read and apply with MariaDB's own tools.
const sandbox = await enterSandbox();
const { mariadb, mariadbBinlog } = await provision(() => undefined);
const run = promisify(execFile);
const LIMITS: DumpLimits = { deadlineMs: 20_000, maxBytes: 256 * 1024 * 1024 };
const MIB = 1024 * 1024;
const TABLES = ['app.plain', 'app.keyed', 'app.big', 'app.made', 'app.loaded'];
let server: MariaDbServer;
let fresh: MariaDbServer;
/** Before the first transaction that only this server has. */
let from: Coordinates;
let position: readonly Gtid[];

before(async () => {
  server = await startMariaDb({ name: 'replica', serverId: 101, server: { 'log-bin-compress': true } });
  fresh = await startMariaDb({ name: 'fresh', serverId: 7 });
  for (const one of [server, fresh]) {
    await one.sql(
      'CREATE DATABASE app; CREATE TABLE app.plain (a INT); CREATE TABLE app.keyed (id INT PRIMARY KEY, t TEXT, b BLOB); CREATE TABLE app.big (a LONGBLOB)',
    );
  }
  await server.sql("SET sql_log_bin=0; CREATE USER repl IDENTIFIED BY 'p'; GRANT REPLICATION SLAVE ON *.* TO repl");
  from = await endOf(server);
  position = [...(parsePosition((await server.row('SELECT @@gtid_binlog_pos AS g'))['g'] ?? '')?.values() ?? [])];
  await unique();
});
after(async () => {
  await server.stop();
  await fresh.stop();
});

/** Statements, rows, both in one transaction, DDL, LOAD DATA, rows that fill several events, and a new file in between. */
async function unique(): Promise<void> {
  const file = join(sandbox, 'load.txt');
  writeFileSync(file, '1\n2\n3\n');
  await server.sql('INSERT INTO app.plain VALUES (1); SET binlog_format=ROW; INSERT INTO app.plain VALUES (2), (3)');
  await server.sql(
    "SET binlog_format=ROW; BEGIN; INSERT INTO app.keyed VALUES (1, 'it''s ü', x'00ff'); UPDATE app.keyed SET t='other'; COMMIT",
  );
  await server.sql('FLUSH BINARY LOGS; SET binlog_format=ROW; DELETE FROM app.plain WHERE a=2');
  await server.sql('CREATE TABLE app.made AS SELECT * FROM app.plain');
  await server.sql('SET server_id=55; INSERT INTO app.plain VALUES (99)');
  await server.sql('CREATE TABLE app.loaded (a INT)');
  await server.sql(`LOAD DATA INFILE '${file}' INTO TABLE app.loaded`);
  await server.sql('USE app; SET binlog_format=ROW; INSERT INTO big SELECT RANDOM_BYTES(1000) FROM seq_1_to_2000');
}

test('a whole binlog file, readable SQL and a manifest, for nobody else to read', async () => {
  const place = placeOf('whole');
  const manifest = await saveAt(place);
  const path = join(place.dir, manifest.file);
  assert.equal(dirname(path), join(place.dir, 'shop', 'orders'));
  assert.equal(basename(path), `orders-0-${manifest.first}-${manifest.last}.binlog`);
  assert.deepEqual(
    readdirSync(dirname(path))
      .sort()
      .map((name) => name.replace(/^.*\./, '')),
    ['binlog', 'json', 'sql'],
  );
  for (const name of readdirSync(dirname(path))) assert.equal(statSync(join(dirname(path), name)).mode & 0o777, 0o600);
  for (const dir of [dirname(path), dirname(dirname(path))]) assert.equal(statSync(dir).mode & 0o777, 0o700);
  assert.equal(manifest.count, 8, 'not the one of another server id');
  assert.equal(manifest.bytes, statSync(path).size);
  const sum = (await run('sha256sum', [path])).stdout.split(' ')[0];
  assert.equal(manifest.sha256, sum);
  assert.deepEqual(JSON.parse(readFileSync(path.replace(/binlog$/, 'json'), 'utf8')), manifest);

  const listed = await tool('--verify-binlog-checksum', '--base64-output=DECODE-ROWS', path);
  assert.match(listed, /Start: binlog v 4, server v 10\.\d+\.\d+-MariaDB/);
  assert.match(listed, /Gtid list \[0-101-\d+\]/);
  assert.doesNotMatch(listed, /not closed properly|^ROLLBACK\/\*!\*\/|GTID 0-55-/m);
  const readable = readFileSync(path.replace(/binlog$/, 'sql'), 'utf8');
  assert.match(readable, /^-- For reading/);
  assert.match(readable, /### {3}@2='other'/);
  assert.match(readable, /INSERT INTO app\.plain VALUES \(1\)/);
});

test('replayed on another server it gives the rows', async () => {
  const place = placeOf('replay');
  const manifest = await saveAt(place);
  const dump = join(sandbox, 'apply.sql');
  // As the runbook says it.
  const pipe = String.raw`"$0" "$1" | grep -v '^/\*M*!100001 SET @@session\.\(gtid_domain_id\|server_id\|gtid_seq_no\)=' > "$2"`;
  await run('sh', ['-c', pipe, mariadbBinlog, join(place.dir, manifest.file), dump]);
  await run('sh', [
    '-c',
    `"$0" --no-defaults --socket="$1" --user=root --binary-mode < "$2"`,
    mariadb.client,
    fresh.socket,
    dump,
  ]);
  const { state } = await fresh.row('SELECT @@gtid_binlog_state AS state');
  assert.match(state ?? '', /^0-7-\d+$/, 'as transactions of its own, which its replicas get like all others');
  await server.sql('SET sql_log_bin=0; DELETE FROM app.plain WHERE a=99');
  for (const table of TABLES) {
    const sums = await Promise.all([server, fresh].map((one) => one.row(`CHECKSUM TABLE ${table}`)));
    assert.notEqual(sums[0]?.['Checksum'], '0', table);
    assert.equal(sums[1]?.['Checksum'], sums[0]?.['Checksum'], table);
  }
});

test('the same set is saved once, also by another process; a file that is not whole is not taken for it', async () => {
  const place = placeOf('once');
  assert.equal(await findSaved(place, SUBJECT), null, 'there is not even a directory');
  const manifest = await saveAt(place);
  assert.deepEqual(await findSaved(place, SUBJECT), manifest);
  assert.equal(await findSaved(place, { ...SUBJECT, set: 'grown' }), null);
  assert.equal(await findSaved(place, { ...SUBJECT, pod: 'orders-1' }), null);
  const again = await saveAt(place, { ...SUBJECT, set: 'given twice' });
  assert.equal(
    again.file,
    manifest.file.replace('.binlog', `-${again.sha256.slice(0, 8)}.binlog`),
    'nothing is overwritten',
  );
  rmSync(join(place.dir, manifest.file));
  assert.equal(await findSaved(place, SUBJECT), null);
});

test('without the tool everything but the SQL is saved, and the manifest says why', async () => {
  const place = { ...placeOf('bare'), tool: '/nowhere/mariadb-binlog' };
  const manifest = await saveAt(place);
  assert.deepEqual([manifest.readable, manifest.readableError], [null, 'there is no /nowhere/mariadb-binlog here']);
  assert.match(await tool(join(place.dir, manifest.file)), /INSERT INTO app\.plain VALUES \(1\)/);
});

test('too large, a full disk, no right to write: nothing is left behind, and the message says what to do', async () => {
  const small = { ...placeOf('small'), maxBytes: MIB };
  await assert.rejects(saveAt(small), (error) =>
    /larger than 1 MiB; raise MXR_SALVAGE_MAX_MB/.test(salvageFailure(error, small)),
  );
  assert.deepEqual(readdirSync(join(small.dir, 'shop', 'orders')), []);

  const full = placeOf('full');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', full.dir]);
  await assert.rejects(saveAt(full), (error) => /is full; make room there/.test(salvageFailure(error, full)));
  assert.deepEqual(readdirSync(join(full.dir, 'shop', 'orders')), []);
  execFileSync('mount', ['-o', 'remount,ro', full.dir]);
  await assert.rejects(saveAt(full), (error) => /cannot be written to/.test(salvageFailure(error, full)));
});

test('fewer than were seen are not what was to be saved: the pod has another server now', async () => {
  const place = placeOf('fewer');
  await assert.rejects(saveAt(place, { ...SUBJECT, atLeast: 9 }), /9 transactions were seen .* and 8 are there/);
  assert.deepEqual(readdirSync(join(place.dir, 'shop', 'orders')), []);
});

test('what a process left that died in the middle is removed', async () => {
  const place = placeOf('left');
  const directory = join(place.dir, 'shop', 'orders');
  mkdirSync(join(directory, '.salvage-abc'), { recursive: true });
  writeFileSync(join(directory, '.salvage-abc', 'binlog'), 'half');
  await saveAt(place);
  assert.equal(readdirSync(directory).filter((name) => name.startsWith('.')).length, 0);
});

const SUBJECT: Subject = {
  set: 'set',
  namespace: 'shop',
  name: 'orders',
  pod: 'orders-0',
  server: { hostname: 'orders-0', serverId: 101, serverUid: '', startedAt: '2026-03-01T11:00:00.000Z' },
  verdict: 'Ahead',
  gtids: [],
  complete: true,
  atLeast: 8,
};

function placeOf(name: string): Place {
  const dir = join(sandbox, 'salvage', name);
  mkdirSync(dir, { recursive: true });
  return { dir, tool: mariadbBinlog, maxBytes: 64 * MIB };
}

function saveAt(place: Place, subject = SUBJECT): Promise<Manifest> {
  const options = { from, before: position, selects: (gtid: Gtid) => gtid.serverId === 101, limits: LIMITS };
  return save(place, {
    subject,
    extract: (sink: FileSink) => extract(targetOf(server), { ...options, sink, maxSize: place.maxBytes }),
    wallMs: () => Date.parse('2026-03-01T12:00:00Z'),
    signal: AbortSignal.timeout(60_000),
  });
}

async function tool(...args: string[]): Promise<string> {
  return (await run(mariadbBinlog, ['--no-defaults', ...args], { maxBuffer: 64 * MIB })).stdout;
}

async function endOf(one: MariaDbServer): Promise<Coordinates> {
  const { File: file, Position: at } = await one.row('SHOW MASTER STATUS');
  return { file: file ?? '', position: Number(at) };
}

function targetOf(one: MariaDbServer): SqlTarget {
  const tls = { mode: 'Disabled' } as const;
  return { name: one.name, host: '127.0.0.1', port: one.port, user: 'repl', password: 'p', tls };
}
