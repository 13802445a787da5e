import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { changeSql } from '../../../src/act/replication.ts';
import { isMxrError } from '../../../src/errors.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import type { SqlSession, TlsOptions } from '../../../src/sql/port.ts';
import { slaveStatus } from '../../support/link.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { type Certificates, makeCertificates } from '../../support/certificates.ts';

const sandbox = await enterSandbox();
const PASSWORD = 'top-secret-9f21';
const CONNECT = { deadlineMs: 5_000 };

describe('certificates of members that are given by name', { timeout: 120_000 }, () => {
  const named = makeCertificates(join(sandbox, 'named'), 'DNS:hci-a.example');
  const addressed = makeCertificates(join(sandbox, 'addressed'), 'DNS:hci-a.example,IP:127.0.0.1');
  let byName: MariaDbServer;
  let byAddress: MariaDbServer;
  let replica: MariaDbServer;

  before(async () => {
    const member = async ({ server }: Certificates): Promise<MariaDbServer> => {
      const started = await startMariaDb({ server: { ...server, 'log-bin': 'bin', 'server-id': 1 } });
      await started.sql("CREATE USER mxr@'%' IDENTIFIED BY ?; GRANT REPLICATION SLAVE ON *.* TO mxr@'%'", [PASSWORD]);
      return started;
    };
    [byName, byAddress, replica] = await Promise.all([
      member(named),
      member(addressed),
      startMariaDb({ server: { 'server-id': 9 } }),
    ]);
  });
  after(async () => Promise.all([byName, byAddress, replica].map(async (server) => server.stop())));

  async function open(tls: TlsOptions): Promise<SqlSession> {
    const target = { name: 'member hci-a', host: '127.0.0.1', port: byName.port, user: 'mxr', password: PASSWORD, tls };
    return connectSql(target, CONNECT);
  }

  test('a session of mxr compares the certificate with the name of the spec, though it dials an address', async () => {
    const mode = 'VerifyIdentity';
    const session = await open({ mode, ca: named.ca, servername: 'hci-a.example' });
    assert.equal(session.encrypted, true);
    session.destroy();
    for (const other of [{}, { servername: 'hci-b.example' }]) {
      await assert.rejects(open({ mode, ca: named.ca, ...other }), (error) => isMxrError(error, 'TlsRefused'));
    }
    await assert.rejects(open({ mode, ca: addressed.ca, servername: 'hci-a.example' }), (error) =>
      isMxrError(error, 'TlsRefused'),
    );
  });

  /** What mxr would make of the link, up to a state that stays. */
  async function linked(to: MariaDbServer, mode: TlsOptions['mode'], caFile: string): Promise<string> {
    const tls = { mode, caFile, certFile: '', keyFile: '' };
    const timing = { connectRetrySeconds: 1, heartbeatSeconds: 2, netTimeoutSeconds: 8 };
    const settings = { channel: '', user: 'mxr', password: PASSWORD, ...timing, tls };
    const { sql, params } = changeSql(
      settings,
      { member: 'hci-a', host: '127.0.0.1', port: to.port, through: 'Member' },
      { by: 'Gtid', gtid: new Map() },
    );
    await replica.sql('STOP SLAVE; RESET SLAVE ALL');
    await replica.sql(sql, params);
    await replica.sql('START SLAVE');
    return until('the link has connected or been refused', async () => {
      const status = await slaveStatus(replica);
      if (status?.['Slave_IO_Running'] === 'Yes') return 'connected';
      return status?.['Last_IO_Errno'] !== '0' && (status?.['Last_IO_Error'] ?? false);
    });
  }

  test("a replica's link that verifies needs the address in the certificate: MASTER_HOST is an address", async () => {
    const [byNameCa, byAddressCa] = [named.server['ssl-ca'], addressed.server['ssl-ca']];
    for (const mode of ['VerifyCA', 'VerifyIdentity'] as const) {
      assert.equal(await linked(byAddress, mode, byAddressCa), 'connected', mode);
      assert.match(await linked(byName, mode, byNameCa), /SSL/, `${mode}: only the name is in the certificate`);
      assert.match(await linked(byAddress, mode, byNameCa), /SSL/, `${mode}: signed by another CA`);
    }
    assert.equal(await linked(byName, 'Required', ''), 'connected');
  });
});
