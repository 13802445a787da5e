import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { PUBLISHER_OPTIONS, describePublisherConfig, readPublisherConfig } from '../../../src/config.ts';
import type { ConfigSource, PublisherConfig } from '../../../src/config.ts';
import { isMxrError } from '../../../src/errors.ts';

const TOKEN = '0123456789abcdef';
const FILES: Readonly<Record<string, string>> = {
  '/etc/mxr/token': `${TOKEN}\n`,
  '/etc/mxr/peer-token': `peer-${TOKEN}`,
  '/etc/mxr/short': 'secret\n',
  '/etc/mxr/empty': '\n',
  '/etc/mxr/password': ' hunter2 \n',
  '/etc/mxr/ca.pem': 'the CA',
};
const PASSWORD = { MXR_PUBLISHER_DB_PASSWORD: 'hunter2' };

function source(env: Record<string, string>, files = FILES): ConfigSource {
  return { env, readFile: (path) => files[path], hostname: () => 'HCI-A.example.com' };
}

function read(args: readonly string[] = [], env: Record<string, string> = {}): PublisherConfig {
  return readPublisherConfig(args, source({ ...PASSWORD, ...env }));
}

function complaint(args: readonly string[], env: Record<string, string> = PASSWORD): string {
  try {
    readPublisherConfig(args, source(env));
  } catch (error) {
    assert.ok(isMxrError(error, 'ConfigInvalid'), String(error));
    assert.doesNotMatch(error.message, /hunter2|0123456789abcdef/u);
    return error.message;
  }
  return assert.fail('it was accepted');
}

describe('configuration of the publisher', () => {
  it('needs nothing but a password', () => {
    const { database, readToken, ...config } = read();
    assert.equal(readToken(), null);
    const { password, ...where } = database;
    assert.equal(password(), 'hunter2');
    assert.deepEqual(where, {
      host: '127.0.0.1',
      port: 3306,
      socketPath: null,
      user: 'mxr_look',
      tls: { mode: 'Preferred' },
    });
    assert.deepEqual(config, {
      member: 'hci-a',
      listen: { host: '127.0.0.1', port: 9480 },
      token: null,
      tls: null,
      vip: null,
      intervalMs: 250,
      timeoutMs: 1000,
      stateDirectory: '/var/lib/mxr',
      journalBytes: 16 * 1024 * 1024,
      notifyFifo: null,
      peer: null,
      importDirectory: null,
      dataDirectory: null,
      binlog: null,
      logLevel: 'info',
    });
  });

  it('reads variables, and flags that leave out the common part of their names', () => {
    const env = { MXR_PUBLISHER_VIP: '10.0.0.100', MXR_PUBLISHER_PORT: '9000', MXR_PUBLISHER_MEMBER: 'b' };
    const config = read(['--port', '9001', '--import-pos=/var/backups', '--data-dir', '/srv/db'], env);
    assert.equal(config.listen.port, 9001);
    assert.equal(config.vip, '10.0.0.100');
    assert.equal(config.member, 'b');
    assert.equal(config.importDirectory, '/var/backups');
    assert.equal(config.dataDirectory, '/srv/db');
  });

  it('listens beyond loopback with a token only, and says why', () => {
    const text = complaint(['--listen-host=0.0.0.0']);
    assert.match(text, /MXR_PUBLISHER_LISTEN_HOST: 0\.0\.0\.0 can be reached from other hosts, and without a token/u);
    assert.match(text, /set MXR_PUBLISHER_TOKEN_FILE, or listen on 127\.0\.0\.1/u);
    for (const host of ['127.0.0.2', '::1']) {
      assert.equal(read([`--listen-host=${host}`]).listen.host, host);
    }
    for (const host of ['10.0.0.1', '::', '::ffff:127.0.0.1', '1.2.3.4', 'localhost'])
      complaint([`--listen-host=${host}`]);
    const open = read(['--token-file=/etc/mxr/token']);
    assert.equal(open.listen.host, '0.0.0.0');
    assert.equal(open.token, TOKEN);
  });

  it('serves binlog files to who has the token only, and beyond loopback over TLS only', () => {
    const served = ['--binlog=/var/lib/mysql/mysql-bin', '--token-file=/etc/mxr/token'];
    const tls = ['--tls-cert-file=/etc/mxr/tls.crt', '--tls-key-file=/etc/mxr/tls.key'];
    const directory = '/var/lib/mysql';
    const binlog = { directory, baseName: 'mysql-bin', bytesPerSecond: 50 * 1024 * 1024 };
    assert.deepEqual(read([...served, ...tls]).binlog, binlog);
    assert.deepEqual(read([...served, '--listen-host=127.0.0.1', '--binlog-mib-per-second=1']).binlog, {
      ...binlog,
      bytesPerSecond: 1024 * 1024,
    });
    assert.match(complaint(served), /MXR_PUBLISHER_BINLOG: without TLS .*MXR_PUBLISHER_TLS_CERT_FILE/u);
    assert.match(complaint(['--binlog=/bin']), /MXR_PUBLISHER_BINLOG: .*set MXR_PUBLISHER_TOKEN_FILE/u);
    for (const path of ['mysql-bin', '/var/lib/mysql/', '/var/../etc/x', '/var/lib/a\nb/.hidden']) {
      assert.match(complaint([`--binlog=${path}`]), /--binlog: /u, path);
    }
  });

  it('takes the password from a file or the environment, and never from a flag', () => {
    const flag =
      /--db-password: every user of this host can read the arguments of a process; set MXR_PUBLISHER_DB_PASSWORD_FILE or MXR_PUBLISHER_DB_PASSWORD instead/u;
    for (const args of [['--db-password=hunter2'], ['--db-password', 'hunter2'], ['--db-password', '--hunter2']]) {
      assert.match(complaint(args), flag);
    }
    assert.match(complaint(['--password', 'hunter2']), /--password: there is no such flag/u);
    assert.match(complaint([], {}), /MXR_PUBLISHER_DB_PASSWORD_FILE: it is not set; give the password of mxr_look/u);
    assert.match(complaint(['--db-password-file=/etc/mxr/password']), /DB_PASSWORD_FILE: only one of them/u);
    assert.match(
      complaint([], { MXR_PUBLISHER_DB_PASSWORD: 'hunter2'.repeat(200) }),
      /DB_PASSWORD: it is longer than/u,
    );
  });

  it('reads a password file again at each connection, and keeps what it had while the file cannot be read', () => {
    const files: Record<string, string> = { ...FILES };
    const { database } = readPublisherConfig(['--db-password-file=/etc/mxr/password'], source({}, files));
    assert.equal(database.password(), ' hunter2 ');
    files['/etc/mxr/password'] = 'new\r\n';
    assert.equal(database.password(), 'new');
    delete files['/etc/mxr/password'];
    assert.equal(database.password(), ' hunter2 ');
  });

  it('reads a token file again when it is asked to, and takes nothing else for a token', () => {
    const files: Record<string, string> = { ...FILES };
    const config = readPublisherConfig(['--token-file=/etc/mxr/token'], source(PASSWORD, files));
    files['/etc/mxr/token'] = `${TOKEN}-new\n`;
    assert.equal(config.readToken(), `${TOKEN}-new`);
    files['/etc/mxr/token'] = 'half';
    assert.equal(config.readToken(), null);
    assert.equal(config.token, TOKEN);
  });

  it('names a file that cannot be read, is empty, or holds no token', () => {
    assert.match(complaint(['--token-file=/nowhere']), /TOKEN_FILE: \/nowhere cannot be read/u);
    assert.match(complaint(['--token-file=/etc/mxr/empty']), /TOKEN_FILE: \/etc\/mxr\/empty is empty/u);
    assert.match(complaint(['--token-file=/etc/mxr/short']), /short holds is not 16 to 512 visible ASCII characters/u);
    assert.match(complaint(['--token-file=token']), /--token-file: "token" is not an absolute path/u);
  });

  it('uses a unix socket without a password and without TLS, unless it is told otherwise', () => {
    const { database } = readPublisherConfig(['--db-socket=/run/sql.sock'], source({}));
    assert.equal(database.socketPath, '/run/sql.sock');
    assert.equal(database.password(), '');
    assert.equal(database.tls.mode, 'Disabled');
    assert.match(complaint(['--db-socket=/a', '--db-host=10.0.0.1']), /DB_SOCKET and .*DB_HOST: only one of them/u);
  });

  it('does not look at the database behind the VIP', () => {
    assert.match(complaint(['--vip=10.0.0.100', '--db-host=10.0.0.100']), /behind the virtual IP there may be/u);
    assert.equal(read(['--vip=127.0.0.1', '--db-socket=/run/sql.sock']).vip, '127.0.0.1');
  });

  it('asks for what belongs together', () => {
    assert.match(complaint(['--tls-cert-file=/a']), /TLS_CERT_FILE and .*TLS_KEY_FILE: both or none/u);
    assert.match(complaint(['--db-tls-mode=VerifyCA']), /DB_TLS_CA_FILE: VerifyCA needs it/u);
    assert.match(complaint(['--peer-ca-file=/etc/mxr/ca.pem']), /PEER_URL: it is not set/u);
    const verified = read(['--db-tls-mode=VerifyIdentity', '--db-tls-ca-file=/etc/mxr/ca.pem']);
    assert.deepEqual(verified.database.tls, { mode: 'VerifyIdentity', ca: 'the CA' });
  });

  it('asks the peer with its own token unless the peer has another', () => {
    const own = ['--token-file=/etc/mxr/token', '--peer-url=https://10.0.0.12:9480'];
    const peer = read(own).peer;
    assert.deepEqual([peer?.url, peer?.token, peer?.ca], ['https://10.0.0.12:9480', TOKEN, null]);
    const other = read([...own, '--peer-token-file=/etc/mxr/peer-token', '--peer-ca-file=/etc/mxr/ca.pem']).peer;
    assert.deepEqual([other?.token, other?.readToken(), other?.ca], [`peer-${TOKEN}`, `peer-${TOKEN}`, 'the CA']);
    for (const url of ['10.0.0.12:9480', 'ftp://a', 'http://user:pass@a', 'http://a/b?c', 'http://a b', 'https://']) {
      assert.match(complaint([`--peer-url=${url}`]), /--peer-url: .* is not http:\/\/host:port or https/u, url);
    }
  });

  it('names every malformed value, and settings of the operator as unknown', () => {
    const text = complaint(['--vip=10.0.0', '--port=70000'], { ...PASSWORD, MXR_HTTP_PORT: '8080' });
    assert.match(text, /--vip: "10\.0\.0" is not an IP address/u);
    assert.match(text, /--port: "70000" is not a whole number from 0 to 65535/u);
    assert.match(text, /MXR_HTTP_PORT: there is no such setting/u);
    assert.match(complaint(['--vip=fe80::1%eth0']), /is not an IP address/u);
    assert.match(complaint(['--member=HCI_A']), /is not a member name/u);
  });

  it('accepts nothing but its own errors, whatever it is given', () => {
    const names = PUBLISHER_OPTIONS.map(({ name }) => name);
    fc.assert(
      fc.property(fc.array(fc.string()), fc.constantFrom(...names), fc.string(), (args, name, value) => {
        try {
          readPublisherConfig(args, source({ ...PASSWORD, [name]: value }));
        } catch (error) {
          assert.ok(isMxrError(error, 'ConfigInvalid'), String(error));
        }
      }),
    );
  });

  it('describes every option, and has no flag for the password', () => {
    const text = describePublisherConfig();
    for (const { name, flag, description } of PUBLISHER_OPTIONS) {
      assert.ok(text.includes(name) && text.includes(flag) && text.includes(description), name);
    }
    assert.equal(PUBLISHER_OPTIONS.find(({ name }) => name === 'MXR_PUBLISHER_DB_PASSWORD')?.flag, '');
    assert.equal(PUBLISHER_OPTIONS.find(({ name }) => name === 'MXR_PUBLISHER_IMPORT_POS')?.flag, '--import-pos');
  });
});
