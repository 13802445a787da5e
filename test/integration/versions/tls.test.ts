import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { LinkSettings } from '../../../src/act/replication.ts';
import { systemClock } from '../../../src/clock.ts';
import { lookAtReplica } from '../../../src/observe/look.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { sandboxDirectory } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { makeCertificates } from '../../support/certificates.ts';
import {
  ADDRESS,
  VERSIONS,
  type VersionName,
  follow,
  prepareVersions,
  serverOf,
  settingsOf,
  withSession,
} from './servers.ts';

const versions = await prepareVersions();
const sandbox = sandboxDirectory() ?? '';
const NAMED = makeCertificates(join(sandbox, 'named'), 'DNS:hci-a.example');
const ADDRESSED = makeCertificates(join(sandbox, 'addressed'), `DNS:hci-a.example,IP:${ADDRESS}`);
const [NAMED_CA, ADDRESSED_CA] = [NAMED.server['ssl-ca'], ADDRESSED.server['ssl-ca']];
const LOOK = { clock: systemClock, deadlineMs: 5_000 };

/** With mxr's own statements, up to a state that stays. */
async function linked(
  replica: MariaDbServer,
  to: MariaDbServer,
  tls: Pick<LinkSettings['tls'], 'mode' | 'caFile'>,
): Promise<string> {
  await replica.sql('STOP SLAVE; RESET SLAVE ALL');
  const settings = settingsOf(tls.mode);
  await follow(replica, to, { ...settings, tls: { ...settings.tls, ...tls } });
  return until('the link has connected or been refused', async () => {
    const { links } = await withSession(replica, 'mxr_replica', (session) => lookAtReplica(session, LOOK));
    const [link] = links;
    if (link?.io === 'Yes') return 'connected';
    return link !== undefined && link.ioErrno !== 0 && link.ioError;
  });
}

for (const at of VERSIONS) {
  for (const of of VERSIONS) {
    const skip = versions[of].skip !== false ? versions[of].skip : versions[at].skip;
    describe(`TLS of a link from ${of} to a source ${at}`, { timeout: 120_000, skip }, () => verified(of, at));
  }
}

function verified(of: VersionName, at: VersionName): void {
  const member = (name: string, server: Readonly<Record<string, string>>): Promise<MariaDbServer> =>
    serverOf(versions[at], 'member', { name: `${name}-${at}-${of}`, serverId: 1, server });
  let byName: MariaDbServer;
  let byAddress: MariaDbServer;
  let bare: MariaDbServer;
  let replica: MariaDbServer;

  before(async () => {
    [byName, byAddress, bare, replica] = await Promise.all([
      member('named', NAMED.server),
      member('addressed', ADDRESSED.server),
      member('bare', {}),
      serverOf(versions[of], 'replica', { name: `r-${at}-${of}`, serverId: 2 }),
    ]);
  });
  after(() => Promise.all([byName, byAddress, bare, replica].map((server) => server.stop())));

  test('that verifies needs its CA and the address in the certificate', async () => {
    for (const mode of ['VerifyCA', 'VerifyIdentity'] as const) {
      assert.equal(await linked(replica, byAddress, { mode, caFile: ADDRESSED_CA }), 'connected', mode);
      assert.match(await linked(replica, byName, { mode, caFile: NAMED_CA }), /SSL/, `${mode}: only the name is in it`);
      assert.match(await linked(replica, byAddress, { mode, caFile: NAMED_CA }), /SSL/, `${mode}: of another CA`);
      assert.match(
        await linked(replica, bare, { mode, caFile: NAMED_CA }),
        /SSL/,
        `${mode}: without a certificate of ours`,
      );
    }
  });

  test('that verifies without a CA is let in only where both ends prove the certificate by the password', async () => {
    const answer = await linked(replica, byAddress, { mode: 'VerifyCA', caFile: '' });
    assert.match(answer, of === '11.8' && at === '11.8' ? /^connected$/ : /SSL/);
  });

  test('that does not verify is encrypted where the source can, and goes on where it cannot', async () => {
    for (const mode of ['Preferred', 'Required'] as const) {
      for (const source of [byName, byAddress, bare]) {
        const answer = await linked(replica, source, { mode, caFile: '' });
        assert.equal(answer, 'connected', `${mode} to ${source.name}`);
      }
    }
  });
}
