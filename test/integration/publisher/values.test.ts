import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ownPosition, slaveStatus } from '../../support/link.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { createAccount } from '../observe/servers.ts';
import type { Pair } from './pair.ts';
import { hasAll, startPair, write } from './pair.ts';
import { moveVip, PublisherProcess } from './process.ts';

await enterSandbox();

describe('what a publisher says of a real pair', { timeout: 180_000 }, () => {
  let pair: Pair;
  let ofPrimary: PublisherProcess;
  let ofStandby: PublisherProcess;

  before(async () => {
    pair = await startPair();
    moveVip('10.9.9.8', 'add');
    await createAccount(pair.standby, 'least', 'SLAVE MONITOR, BINLOG MONITOR');
    ofPrimary = await PublisherProcess.start({
      name: 'hci-a',
      server: pair.primary,
      flags: ['--vip=10.9.9.9'],
    });
    ofStandby = await PublisherProcess.start({
      name: 'hci-b',
      server: pair.standby,
      user: 'least',
      flags: [`--db-socket=${pair.standby.socket}`, '--vip=10.9.9.8', `--peer-url=${ofPrimary.url}`],
    });
    await write(pair.primary, 20);
    await pair.primary.sql('FLUSH BINARY LOGS');
    await write(pair.primary, 20);
    await hasAll(pair.standby, pair.primary);
  });
  after(async () => {
    await Promise.all([ofPrimary, ofStandby].map((publisher) => publisher?.end()));
    await pair?.stop();
  });

  test('of the primary: what its own statements say', async () => {
    const { primary } = pair;
    const end = await ownPosition(primary);
    const said = await ofPrimary.coordinatesWhen('it has seen the end', (now) => now.position === end.position);
    const truth = await primary.row(
      `SELECT @@hostname hostname, @@server_id serverId, @@server_uid serverUid, @@port port, @@datadir datadir, @@gtid_binlog_pos binlogPos,
       @@gtid_binlog_state binlogState, @@gtid_slave_pos slavePos,
       UNIX_TIMESTAMP() - (SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME') started`,
    );
    const { machineId, datadirId, ...identity } = said.identity ?? assert.fail('no identity');
    assert.match(machineId, /^([0-9a-f]{16})?$/u);
    assert.match(datadirId, /^[0-9a-f]{16}$/u);
    assert.deepEqual(identity, {
      hostname: truth['hostname'],
      serverId: Number(truth['serverId']),
      // What a server without a network interface says.
      serverUid: truth['serverUid'] === 'unknown' ? '' : truth['serverUid'],
      port: Number(truth['port']),
      datadir: truth['datadir'],
      startedAt: new Date(1000 * Number(truth['started'])).toISOString(),
    });
    const { file, position, gtidBinlogPos, gtidBinlogState, gtidSlavePos, readOnly, slave, takeover, vipHeld } = said;
    assert.deepEqual(
      { file, position, gtidBinlogPos, gtidBinlogState, gtidSlavePos, readOnly, slave, takeover, vipHeld },
      {
        file: end.file,
        position: end.position,
        gtidBinlogPos: truth['binlogPos'],
        gtidBinlogState: truth['binlogState'],
        gtidSlavePos: truth['slavePos'],
        readOnly: false,
        slave: null,
        takeover: null,
        vipHeld: false,
      },
    );
    assert.equal(end.file, 'hci-a-bin.000002');
  });

  test('of the standby, with an account that may only look at replication and binlogs', async () => {
    const end = await ownPosition(pair.primary);
    const said = await ofStandby.coordinatesWhen(
      'it has applied everything',
      ({ slave }) => slave?.file === end.file && slave.position === end.position && !slave.applying,
    );
    const link = await slaveStatus(pair.standby);
    assert.deepEqual(said.slave, {
      masterHost: '127.0.0.1',
      masterServerId: 1,
      file: link?.['Relay_Master_Log_File'],
      position: Number(link?.['Exec_Master_Log_Pos']),
      usingGtid: false,
      ioRunning: true,
      sqlRunning: true,
      applying: false,
    });
    assert.equal(said.readOnly, true);
    assert.equal(said.logSlaveUpdates, false);
    assert.equal(said.gtidSlavePos, end.gtid);
    assert.equal(said.vipHeld, true);
    assert.equal(said.databaseAnswers, true);
    assert.ok((said.monotonicAgeMs ?? 1e9) < 2_000);
  });

  test('what its peer said last is kept, also after the peer is gone', async () => {
    await write(pair.primary, 3);
    const end = await ownPosition(pair.primary);
    const { peer } = await ofStandby.coordinatesWhen('it knows the peer', (now) => now.peer?.position === end.position);
    assert.equal(peer?.member, 'hci-a');
    assert.equal(peer.serverId, 1);
    assert.equal(peer.file, end.file);
    assert.equal(peer.vipHeld, false);
    assert.equal(await ofPrimary.end(), 0);
    assert.equal(await ofStandby.end(), 0);
    ofStandby = await PublisherProcess.start({ name: 'hci-b', server: pair.standby, user: 'least' });
    const again = await ofStandby.coordinatesWhen('it looked', (now) => now.databaseAnswers);
    assert.equal(again.peer?.position, end.position);
  });

  test('an account without the grants is told of by name, and nothing is made up', async () => {
    await createAccount(pair.primary, 'nothing', 'USAGE');
    const refused = await PublisherProcess.start({ name: 'refused', server: pair.primary, user: 'nothing' });
    const told = await until('it tells', () =>
      refused.lines.find((line) => line['message'] === 'the database does not answer'),
    );
    assert.equal(told['code'], 'GrantMissing');
    assert.match(String(told['why']), /BINLOG MONITOR/u);
    const said = await refused.coordinates();
    assert.equal(said.databaseAnswers, false);
    assert.equal(said.identity, null);
    await refused.end();
  });
});
