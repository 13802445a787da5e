import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { HOST_FILES, HOST_SCRIPTS, hostFile } from '../../support/host-files.ts';

const CONFIGURATIONS = ['keepalived-nopreempt.conf', 'keepalived-preempt.conf'] as const;
const UNIT = 'mxr-publisher.service';
const SECRETS = ['token', 'database-password', 'tls.crt', 'tls.key', 'peer-ca.crt'];
/** What takes a password, or a thing as good, as an argument. */
const SECRET_ARGUMENT = /(--password|\s-p\S|MYSQL_PWD|MARIADB_ROOT_PASSWORD(?!_FILE)|expect|sshpass|--token(?!-file))/u;

const Compose = z.object({
  services: z.record(
    z.string(),
    z.object({
      command: z.array(z.string()).optional(),
      network_mode: z.string(),
      restart: z.string(),
      user: z.string().optional(),
      read_only: z.boolean().optional(),
      cap_drop: z.array(z.string()).optional(),
      security_opt: z.array(z.string()).optional(),
      env_file: z.string().optional(),
      environment: z.record(z.string(), z.string()),
      secrets: z.array(z.string()),
      volumes: z.array(z.string()),
    }),
  ),
  secrets: z.record(z.string(), z.object({ file: z.string() })),
});

/** `NAME=value` of the systemd unit or an environment file. */
function assignments(text: string, prefix = ''): Map<string, string> {
  const lines = [...text.matchAll(new RegExp(`^${prefix}([A-Z][A-Z0-9_]*)=(.*)$`, 'gmu'))];
  return new Map(lines.map(([, name = '', value = '']) => [name, value]));
}

describe('what is shipped for the database hosts', () => {
  test('no password is an argument or in the environment, in any file', () => {
    for (const name of readdirSync(HOST_FILES)) {
      if (name.endsWith('.md')) continue;
      const text = hostFile(name).replaceAll(/^\s*(#|--).*$/gmu, '');
      assert.doesNotMatch(text, SECRET_ARGUMENT, name);
      // What follows may be the path of a file, or where YAML says it.
      assert.doesNotMatch(text, /password\s*[=:]\s*[^\s/{]/iu, name);
    }
  });

  test('the scripts are programs that a POSIX shell can read', () => {
    for (const name of HOST_SCRIPTS) {
      const path = join(HOST_FILES, name);
      assert.equal(spawnSync('sh', ['-n', path], { encoding: 'utf8' }).stderr, '', name);
      if (name === 'common.sh') continue;
      assert.ok(hostFile(name).startsWith('#!/bin/sh\n'), name);
      assert.equal((statSync(path).mode & 0o111) === 0o111, true, name);
    }
  });

  test('site.conf has each name that keepalived and the scripts read, and no other', () => {
    const there = [...hostFile('site.conf').matchAll(/^\$([A-Z_]+)=/gmu)].map(([, name = '']) => name);
    const configured = CONFIGURATIONS.flatMap((name) =>
      [...hostFile(name).matchAll(/\$\{?([A-Z][A-Z_]*)\b/gmu)].map(([, found = '']) => found),
    );
    const read = [...hostFile('common.sh').matchAll(/^ *'\$([A-Z_]+)'\)/gmu)].map(([, name = '']) => name);
    assert.deepEqual([...there].sort(), [...new Set([...configured, ...read])].sort());
  });

  test('the two keepalived.conf differ in nothing but who takes the VIP back', () => {
    const [nopreempt, preempt] = CONFIGURATIONS.map((name) =>
      hostFile(name)
        .split('\n')
        .filter((line) => !line.trim().startsWith('#')),
    );
    const only = (one: readonly string[] = [], other: readonly string[] = []): string[] =>
      one.filter((line) => !other.includes(line));
    assert.deepEqual(only(nopreempt, preempt), ['  nopreempt']);
    assert.deepEqual(only(preempt, nopreempt), ['  preempt_delay $PREEMPT_DELAY']);
  });

  test('docker-compose: both see the host, the publisher can write nothing but its journal, secrets are files', () => {
    const compose = Compose.parse(parse(hostFile('docker-compose.yaml')));
    for (const service of Object.values(compose.services)) {
      assert.equal(service.network_mode, 'host');
      assert.equal(service.restart, 'always');
      for (const secret of service.secrets) assert.ok(secret in compose.secrets, secret);
    }
    const publisher = compose.services['publisher'];
    assert.ok(publisher !== undefined);
    assert.deepEqual(publisher.command, ['publisher']);
    assert.deepEqual(
      [publisher.read_only, publisher.cap_drop, publisher.security_opt, publisher.user],
      [true, ['ALL'], ['no-new-privileges:true'], '65532:65532'],
    );
    assert.deepEqual([...publisher.secrets].sort(), [...SECRETS].sort());
    const state = publisher.environment['MXR_PUBLISHER_STATE_DIR'] ?? '';
    const writable = publisher.volumes.filter((volume) => !volume.endsWith(':ro'));
    assert.deepEqual(writable, [`./state:${state}`]);
    assert.equal(publisher.env_file, 'publisher.env');
  });

  test('the unit and docker-compose tell the publisher the same things, and publisher.env the rest', () => {
    const publisher = Compose.parse(parse(hostFile('docker-compose.yaml'))).services['publisher'];
    const unit = assignments(hostFile(UNIT), 'Environment=');
    assert.deepEqual([...unit.keys()].sort(), Object.keys(publisher?.environment ?? {}).sort());
    const own = assignments(hostFile('publisher.env'));
    assert.deepEqual(
      [...own.keys()].filter((name) => unit.has(name)),
      [],
    );
    const site = hostFile('site.conf');
    for (const [name, theirs] of [
      ['MXR_PUBLISHER_VIP', 'VIP'],
      ['MXR_PUBLISHER_NOTIFY_FIFO', 'FIFO'],
    ] as const) {
      assert.match(site, new RegExp(`^\\$${theirs}=${own.get(name)}$`, 'mu'), name);
    }
  });

  test('the unit takes secrets as credentials, comes back always, and may do little', () => {
    const unit = hostFile(UNIT);
    for (const secret of SECRETS) assert.match(unit, new RegExp(`^LoadCredential=${secret}:/etc/mxr/${secret}$`, 'mu'));
    for (const line of [
      'Restart=always',
      'StartLimitIntervalSec=0',
      'User=mxr',
      'NoNewPrivileges=yes',
      'CapabilityBoundingSet=',
      'ProtectSystem=strict',
      'ProtectHome=yes',
      'PrivateTmp=yes',
      'SystemCallFilter=@system-service',
    ]) {
      assert.ok(unit.split('\n').includes(line), line);
    }
  });

  const analyze = spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' });
  const version = Number(/^systemd (\d+)/u.exec(analyze.stdout ?? '')?.[1] ?? 0);
  test('systemd accepts the unit', { skip: version >= 250 ? false : 'there is no systemd-analyze >= 250' }, () => {
    const root = mkdtempSync(join(tmpdir(), 'mxr-unit-'));
    try {
      const units = join(root, 'etc/systemd/system');
      mkdirSync(units, { recursive: true });
      copyFileSync(join(HOST_FILES, UNIT), join(units, UNIT));
      // What every unit depends on; a tree of its own has none of it.
      for (const target of ['sysinit', 'basic', 'shutdown', 'network-online']) {
        writeFileSync(join(units, `${target}.target`), '[Unit]\nDefaultDependencies=no\n');
      }
      const program = /^ExecStart=(\S+)/mu.exec(hostFile(UNIT))?.[1] ?? '';
      mkdirSync(join(root, program, '..'), { recursive: true });
      writeFileSync(join(root, program), '#!/bin/sh\n');
      chmodSync(join(root, program), 0o755);
      const verified = spawnSync('systemd-analyze', ['verify', '--man=no', `--root=${root}`, UNIT], {
        encoding: 'utf8',
      });
      const about = verified.stderr.split('\n').filter((line) => line.includes(UNIT));
      assert.deepEqual(about, []);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});
