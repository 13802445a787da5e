import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { CONFIG_OPTIONS, describeConfig, readOperatorConfig } from '../../../src/config.ts';
import type { ConfigSource, OperatorConfig } from '../../../src/config.ts';
import { isMxrError } from '../../../src/errors.ts';

function source(env: Record<string, string> = {}, serviceAccount: string | undefined = 'databases'): ConfigSource {
  return { env, readFile: () => serviceAccount, hostname: () => 'host-1' };
}

function read(args: readonly string[] = [], env: Record<string, string> = {}): OperatorConfig {
  return readOperatorConfig(args, source(env));
}

function complaint(args: readonly string[], env: Record<string, string> = {}, from = source(env)): string {
  try {
    readOperatorConfig(args, from);
  } catch (error) {
    assert.ok(isMxrError(error, 'ConfigInvalid'), String(error));
    return error.message;
  }
  return assert.fail('it was accepted');
}

describe('configuration of the operator', () => {
  it('has a default for everything when it runs in a cluster', () => {
    assert.deepEqual(read(), {
      httpPort: 8080,
      namespaces: ['databases'],
      pod: { name: 'host-1', uid: '', namespace: 'databases' },
      lease: { name: 'mxr', namespace: 'databases', durationMs: 8000, renewDeadlineMs: 5000, retryMs: 1000 },
      logLevel: 'info',
      kubeTimeoutMs: 5000,
      resyncMs: 300_000,
      fill: null,
      salvage: null,
      kubeconfig: undefined,
    });
  });

  it('reads variables, and a flag wins over its variable, in both spellings', () => {
    const env = { MXR_HTTP_PORT: '9000', MXR_LOG_LEVEL: 'warn', MXR_RESYNC_SECONDS: '60', KUBECONFIG: '/a' };
    const config = read(['--http-port', '9001', '--lease-name=other'], env);
    assert.equal(config.httpPort, 9001);
    assert.equal(config.lease.name, 'other');
    assert.equal(config.logLevel, 'warn');
    assert.equal(config.resyncMs, 60_000);
    assert.equal(config.kubeconfig, '/a');
  });

  it('takes the empty variable that a template leaves behind as not set', () => {
    assert.equal(read([], { MXR_HTTP_PORT: '', MXR_NAMESPACES: '', KUBECONFIG: '' }).httpPort, 8080);
    assert.match(complaint(['--http-port=']), /--http-port: "" is not a whole number/u);
  });

  it('knows the own namespace, a list of namespaces and the whole cluster', () => {
    assert.deepEqual(read([], { MXR_NAMESPACES: 'a, b,a' }).namespaces, ['a', 'b']);
    assert.equal(read([], { MXR_NAMESPACES: '*' }).namespaces, '*');
    assert.deepEqual(read([], { MXR_POD_NAMESPACE: 'mine' }).namespaces, ['mine']);
    for (const text of ['*,a', 'a,,b', 'A', 'a/b', '../x', 'a b']) {
      assert.match(complaint([], { MXR_NAMESPACES: text }), /MXR_NAMESPACES: .* is neither \* nor a list/u);
    }
  });

  it('fills replicas from files only where they can be told its address', () => {
    const env = { MXR_FILL_PORT: '9481', MXR_POD_IP: '10.9.0.7' };
    assert.deepEqual(read([], env).fill, { address: '10.9.0.7', port: 9481 });
    assert.deepEqual(read([], { ...env, MXR_POD_IP: 'fd00::7' }).fill, { address: 'fd00::7', port: 9481 });
    assert.equal(read([], { MXR_POD_IP: '10.9.0.7' }).fill, null);
    assert.match(complaint([], { MXR_FILL_PORT: '9481' }), /MXR_POD_IP: it is not set, and replicas have to be told/u);
    for (const text of ['mxr', '10.9.0', 'fe80::1%eth0']) {
      assert.match(complaint([], { MXR_POD_IP: text }), /MXR_POD_IP: .* is not an IP address/u);
    }
  });

  it('says what to set where there is no service account', () => {
    assert.match(complaint([], {}, { ...source({}), readFile: () => undefined }), /MXR_POD_NAMESPACE: it is not set/u);
    assert.match(complaint([], {}, { ...source({}), readFile: () => 'no namespace\0' }), /MXR_POD_NAMESPACE/u);
  });

  it('names an unknown variable or flag and the nearest known one, and never shows its value', () => {
    const text = complaint(['--htpp-port', 'hunter2'], {
      MXR_LOGLEVEL: 'hunter2',
      MXR_PASSWORD_OF_SOMETHING_ELSE: 'hunter2',
    });
    assert.match(text, /MXR_LOGLEVEL: there is no such setting; did you mean MXR_LOG_LEVEL\?/u);
    assert.match(text, /MXR_PASSWORD_OF_SOMETHING_ELSE: there is no such setting$/u);
    assert.match(text, /--htpp-port: there is no such flag; did you mean --http-port\?/u);
    assert.doesNotMatch(text, /hunter2/u);
  });

  it('names every malformed value', () => {
    const text = complaint(['--http-port', '65536'], { MXR_LOG_LEVEL: 'loud', MXR_KUBE_TIMEOUT_MS: '5s' });
    assert.match(text, /--http-port: "65536" is not a whole number from 0 to 65535/u);
    assert.match(text, /MXR_LOG_LEVEL: "loud" is none of fatal, error/u);
    assert.match(text, /MXR_KUBE_TIMEOUT_MS: "5s" is not a whole number/u);
    for (const wrong of ['-1', '1e3', '0x10', ' 80', '80.0', '٨٠', '99999999999999999999']) {
      assert.match(complaint([], { MXR_HTTP_PORT: wrong }), /MXR_HTTP_PORT/u);
    }
  });

  it('refuses flags without a value, twice the same flag, and words that are no flags', () => {
    assert.match(complaint(['--http-port']), /--http-port: it needs a value/u);
    assert.match(complaint(['--http-port=1', '--http-port=1']), /--http-port: it is given twice/u);
    assert.match(complaint(['now']), /now: it is not a flag/u);
  });

  it('refuses lease times that cannot fence', () => {
    assert.match(complaint([], { MXR_LEASE_DURATION_MS: '5000' }), /MXR_LEASE_DURATION_MS \(5000\) must be larger/u);
    assert.match(complaint([], { MXR_LEASE_RETRY_MS: '4500' }), /1\.2 x MXR_LEASE_RETRY_MS/u);
  });

  it('ignores what the kubelet sets for a Service with the name mxr', () => {
    const links = {
      MXR_SERVICE_HOST: '10.0.0.1',
      MXR_SERVICE_PORT: '8080',
      MXR_SERVICE_PORT_HTTP: '8080',
      MXR_PORT: 'tcp://10.0.0.1:8080',
      MXR_PORT_8080_TCP: 'tcp://10.0.0.1:8080',
      MXR_PORT_8080_TCP_PROTO: 'tcp',
      MXR_METRICS_PORT: 'tcp://10.0.0.1:8080',
    };
    assert.equal(read([], links).httpPort, 8080);
    assert.match(complaint([], { MXR_METRICS_PORT: '8080' }), /MXR_METRICS_PORT: there is no such setting/u);
  });

  it('accepts nothing but its own errors, whatever it is given', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom('--http-port', '--namespaces=', '--', '='))),
        fc.constantFrom(...CONFIG_OPTIONS.map((row) => row.name)),
        fc.string(),
        (args, name, value) => {
          try {
            readOperatorConfig(args, source({ [name]: value }));
          } catch (error) {
            assert.ok(isMxrError(error, 'ConfigInvalid'), String(error));
          }
        },
      ),
    );
  });

  it('describes every option, with its variable, flag, default and meaning', () => {
    const text = describeConfig();
    for (const row of CONFIG_OPTIONS) {
      assert.ok(text.includes(row.name) && text.includes(row.flag) && text.includes(row.description), row.name);
      assert.ok(text.includes(row.default), row.name);
    }
    assert.ok(CONFIG_OPTIONS.some((row) => row.name === 'MXR_LEASE_RENEW_DEADLINE_MS' && row.default === '5000'));
  });
});
