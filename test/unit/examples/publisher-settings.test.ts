import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { PUBLISHER_OPTIONS, readPublisherConfig } from '../../../src/config/publisher.ts';
import { HOST_FILES, hostFile } from '../../support/host-files.ts';

const Environment = z.record(z.string(), z.string());
const Compose = z.object({ services: z.object({ publisher: z.object({ environment: Environment }) }) });

function assignments(text: string, prefix = ''): Record<string, string> {
  const lines = text.matchAll(new RegExp(`^${prefix}([A-Z][A-Z0-9_]*)=(.*)$`, 'gmu'));
  return Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, value]));
}

/** What systemd and docker-compose make of the shipped files. */
function environments(): Record<string, Record<string, string>> {
  const own = assignments(hostFile('publisher.env'));
  const unit = assignments(
    hostFile('mxr-publisher.service').replaceAll('%d', '/c').replaceAll('%S', '/s'),
    'Environment=',
  );
  const compose = Compose.parse(parse(hostFile('docker-compose.yaml'))).services.publisher.environment;
  return { 'mxr-publisher.service': { ...own, ...unit }, 'docker-compose.yaml': { ...own, ...compose } };
}

describe('the settings of the publisher that are shipped', () => {
  test('each name in examples/ and in the page about moving is a setting', () => {
    const known = PUBLISHER_OPTIONS.map(({ name }) => name);
    const pages = [...globSync(join(HOST_FILES, '*')), join(HOST_FILES, '../../docs/moving-to-the-publisher.md')];
    const names = pages.flatMap((page) => readFileSync(page, 'utf8').match(/\bMXR_PUBLISHER_[A-Z_]+\b/gu) ?? []);
    assert.ok(names.length > 20);
    assert.deepEqual(
      names.filter((name) => !known.includes(name)),
      [],
    );
  });

  for (const [file, env] of Object.entries(environments())) {
    test(`the publisher accepts those of ${file}, and takes its secrets from files`, () => {
      const config = readPublisherConfig([], {
        env,
        readFile: () => 'of-a-file-with-32-visible-letters',
        hostname: () => 'x',
      });
      assert.equal(config.token, 'of-a-file-with-32-visible-letters');
      assert.equal(config.database.password(), 'of-a-file-with-32-visible-letters');
      assert.deepEqual(
        [config.listen.port, config.vip, config.database.user, config.database.socketPath],
        [9480, '10.0.0.100', 'mxr_look', '/run/mysqld/mysqld.sock'],
      );
      assert.ok(config.tls !== null && config.peer !== null && config.notifyFifo === '/run/keepalived/mxr.fifo');
    });
  }
});
