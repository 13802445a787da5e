import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { formatPosition, formatState } from '../../../src/domain/gtid.ts';
import type { BinlogFile, ServerLook, VipLook } from '../../../src/domain/observation.ts';
import { isMxrError } from '../../../src/errors.ts';
import { newSessionFacts } from '../../../src/observe/asker.ts';
import { lookAtServer, lookAtVip } from '../../../src/observe/look.ts';
import type { Row } from '../../../src/sql/port.ts';
import { until } from '../../support/wait.ts';
import { type FakeServer, fakeServer, LINK_ROW, sqlError, TARGET } from './fake-server.ts';

const LIMITS = { clock: systemClock, deadlineMs: 1_000 };
const FILES: { files: boolean; previousFiles: readonly BinlogFile[] } = { files: true, previousFiles: [] };

async function look(server: FakeServer, options = FILES, facts = newSessionFacts()): Promise<ServerLook> {
  const session = await server.connect(TARGET, { deadlineMs: 1_000 });
  return lookAtServer(session, { ...LIMITS, ...options }, facts);
}

function links(row: Row): FakeServer {
  return fakeServer({ answer: (sql) => (sql === 'SHOW ALL SLAVES STATUS' ? [row] : undefined) });
}

/** Refuses the statement as a server does that does not know the variable, or not for this account. */
function without(variable: string, errno = 1193): FakeServer {
  const code = errno === 1193 ? 'SqlError' : 'GrantMissing';
  return fakeServer({
    answer: (sql) =>
      sql.includes(`@@global.${variable}`) ? sqlError(code, `Unknown system variable '${variable}'`, errno) : undefined,
  });
}

describe('one look', () => {
  test('reads the end of the binlog before the positions, and what was applied before what was received', async () => {
    const server = fakeServer();
    await look(server);
    const order = ['SHOW MASTER STATUS', '@@global.gtid_slave_pos', 'SHOW ALL SLAVES STATUS', 'SHOW BINARY LOGS'];
    const places = order.map((text) => server.statements.findIndex((sql) => sql.includes(text)));
    assert.ok(places.every((place) => place >= 0));
    assert.deepEqual(
      places,
      [...places].sort((a, b) => a - b),
    );
  });

  test('asks for all in one go once it knows what it may ask for', async () => {
    const server = fakeServer();
    const facts = newSessionFacts();
    await look(server, FILES, facts);
    server.statements.length = 0;
    const held = Promise.withResolvers<never[]>();
    server.answer = (sql) => (sql === 'SHOW MASTER STATUS' ? held.promise : undefined);
    const looking = look(server, { files: false, previousFiles: [] }, facts);
    await until('the process list is asked for', () => server.statements.includes('SHOW PROCESSLIST'));
    held.resolve([]);
    assert.equal((await looking).end, null);
  });

  test('asks a replica for nothing that says nothing about where it stands', async () => {
    const server = links(LINK_ROW);
    const session = await server.connect(TARGET, { deadlineMs: 1_000 });
    const facts = newSessionFacts();
    await lookAtServer(session, { ...LIMITS, ...FILES, of: 'Replica' }, facts);
    const before = server.statements.length;
    const seen = await lookAtServer(session, { ...LIMITS, ...FILES, of: 'Replica' }, facts);
    assert.equal(server.statements.length - before, 2, 'where a setting comes from is asked once');
    assert.equal(seen.links.length, 1);
    assert.deepEqual([seen.end, seen.dumps, seen.files], [null, null, []]);
  });

  test('a changed answer is read anew', async () => {
    const facts = newSessionFacts();
    const server = links(LINK_ROW);
    await look(server, FILES, facts);
    server.answer = (sql) => (sql === 'SHOW ALL SLAVES STATUS' ? [{ ...LINK_ROW, Slave_IO_Running: 'No' }] : undefined);
    assert.equal((await look(server, FILES, facts)).links[0]?.io, 'No');
  });

  test('reads exact numbers and leaves empty filters out', async () => {
    const [link] = (await look(links({ ...LINK_ROW, Replicate_Ignore_DB: '' }))).links;
    assert.equal(link?.read.position, 9_007_199_254_740_991);
    assert.deepEqual(link.filters, { Replicate_Do_DB: 'orders' });
    assert.equal(link.secondsBehind, null);
  });

  test('goes without a variable that this version does not have, and asks for it once per session', async () => {
    const server = without('server_uid');
    const facts = newSessionFacts();
    assert.equal((await look(server, FILES, facts)).identity.serverUid, '');
    server.statements.length = 0;
    await look(server, FILES, facts);
    assert.equal(
      server.statements.some((sql) => sql.includes('server_uid')),
      false,
    );
  });

  test('takes no server_uid where the server knows none', async () => {
    const server = fakeServer();
    server.variables = { ...server.variables, server_uid: 'unknown' };
    assert.equal((await look(server)).identity.serverUid, '');
  });

  test('has no binlog state where the account may not read it', async () => {
    const seen = await look(without('gtid_binlog_state', 1227));
    assert.equal(seen.gtidBinlogState, null);
    assert.equal(formatPosition(seen.gtidBinlogPos), '0-1-9');
    const state = (await look(fakeServer())).gtidBinlogState;
    assert.equal(state === null ? '' : formatState(state), '0-1-9,0-2-4');
  });

  test('fails where any other variable cannot be read', async () => {
    await assert.rejects(look(without('hostname')), (error) => isMxrError(error, 'SqlError') && error.errno === 1193);
    await assert.rejects(look(without('hostname', 1227)), (error) => isMxrError(error, 'GrantMissing'));
  });

  test('says null, not "none", of the dump threads that the account may not see', async () => {
    const dump = { Id: '7', User: 'repl', Host: 'fd00::21:40112', Command: 'Binlog Dump', Time: '9' };
    const dumps = [dump, { ...dump, Id: '8', Command: 'Query' }, { ...dump, Id: '9', Command: null }];
    const server = fakeServer({ answer: (sql) => (sql === 'SHOW PROCESSLIST' ? dumps : undefined) });
    assert.deepEqual((await look(server)).dumps, [
      { connectionId: 7, user: 'repl', address: 'fd00::21', ageSeconds: 9 },
    ]);
    const blind = fakeServer({
      answer: (sql) => (sql.includes('INNODB_CMP') ? sqlError('GrantMissing', 'PROCESS', 1227) : undefined),
    });
    assert.equal((await look(blind)).dumps, null);
  });

  test('keeps the files that it was given, unless it is to ask', async () => {
    const previousFiles = [{ name: 'a-bin.000001', size: 4 }];
    const server = fakeServer();
    assert.deepEqual((await look(server, { files: false, previousFiles })).files, previousFiles);
    assert.equal(server.statements.includes('SHOW BINARY LOGS'), false);
    assert.deepEqual((await look(server, { files: true, previousFiles })).files, [{ name: 'a-bin.000002', size: 842 }]);
  });

  test('has no end and no files without a binlog', async () => {
    const server = fakeServer({ answer: (sql) => (sql === 'SHOW MASTER STATUS' ? [] : undefined) });
    server.variables = { ...server.variables, log_bin: '0', gtid_binlog_pos: '', gtid_binlog_state: '' };
    const seen = await look(server);
    assert.deepEqual([seen.logBin, seen.end, seen.files], [false, null, []]);
  });

  for (const [column, value] of [
    ['Exec_Master_Log_Pos', '-1'],
    ['Exec_Master_Log_Pos', '9007199254740993'],
    ['Exec_Master_Log_Pos', null],
    ['Gtid_IO_Pos', '0-1'],
    ['Slave_IO_Running', 'Perhaps'],
    ['Using_Gtid', 'Maybe'],
    ['Master_Port', 'secret-looking text'],
  ] as const) {
    test(`a malformed ${column} (${value}) is an error that names the column and hides the value`, async () => {
      await assert.rejects(look(links({ ...LINK_ROW, [column]: value })), (error) => {
        assert.ok(isMxrError(error, 'InputInvalid'), String(error));
        assert.match(error.message, new RegExp(column));
        assert.doesNotMatch(error.message, /secret-looking/);
        return true;
      });
    });
  }

  test('a missing column and a missing row are errors too', async () => {
    const { Gtid_IO_Pos: _, ...rest } = LINK_ROW;
    await assert.rejects(
      look(links(rest)),
      (error) => isMxrError(error, 'InputInvalid') && /Gtid_IO_Pos/.test(error.message),
    );
    const empty = fakeServer({ answer: (sql) => (sql.includes('@@global.') ? [] : undefined) });
    await assert.rejects(look(empty), (error) => isMxrError(error, 'InputInvalid') && /0 rows/.test(error.message));
  });
});

describe('a look through the VIP', () => {
  const locks = { 'hci-a': 'lock-of-a', 'hci-b': 'lock-of-b' };

  async function vipLook(server: FakeServer, full: Parameters<typeof lookAtVip>[1]['full'] = null): Promise<VipLook> {
    const session = await server.connect(TARGET, { deadlineMs: 1_000 });
    return lookAtVip(session, { ...LIMITS, locks, full });
  }

  function ownedBy(owners: readonly (string | null)[]): FakeServer {
    const server: FakeServer = fakeServer({
      answer: (sql) => {
        if (!sql.includes('IS_USED_LOCK')) return undefined;
        const [lock_0 = null, lock_1 = null] = owners;
        return [{ ...server.variables, connection_id: '99', started_at: server.startedAt, lock_0, lock_1 }];
      },
    });
    return server;
  }

  test('asks everything in one statement', async () => {
    const server = ownedBy(['12', null]);
    const seen = await vipLook(server);
    assert.deepEqual(seen.lockOwners, { 'hci-a': 12, 'hci-b': null });
    assert.deepEqual([seen.identity.hostname, seen.readOnly, seen.look], ['hci-a', false, null]);
    assert.equal(server.statements.length, 1);
  });

  test('looks fully only where no direct session ends on the same server', async () => {
    const full = { files: true, previous: null, unasked: ['hci-a'] };
    assert.equal((await vipLook(ownedBy([null, '5']), full)).look, null);
    const left = await vipLook(ownedBy(['5', null]), full);
    assert.notEqual(left.look, null, 'a lock that a dead session left behind is nobody who could be asked');
    const seen = (await vipLook(ownedBy([null, null]), full)).look;
    assert.deepEqual(seen?.end, { file: 'a-bin.000002', position: 842 });
  });

  test('never reports the binlog files of another server', async () => {
    const server = ownedBy([null, null]);
    const first = (await vipLook(server, { files: true, previous: null, unasked: [] })).look;
    assert.ok(first !== null);
    const kept = { ...first, files: [{ name: 'a-bin.000001', size: 1 }] };
    const again = (await vipLook(server, { files: false, previous: kept, unasked: [] })).look;
    assert.deepEqual(again?.files, kept.files);
    const other = { ...kept, identity: { ...kept.identity, serverId: 2 } };
    const moved = (await vipLook(server, { files: false, previous: other, unasked: [] })).look;
    assert.deepEqual(moved?.files, [{ name: 'a-bin.000002', size: 842 }]);
  });
});
