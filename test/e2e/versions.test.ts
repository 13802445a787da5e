import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { slaveStatus } from '../support/link.ts';
import { absentOf, versionPairOf } from '../support/versions.ts';
import type { VersionPair } from '../support/versions.ts';
import { begin } from './support/begin.ts';
import { movesUnderWrites } from './support/moves.ts';
import type { Stage } from './support/stage.ts';

// Other versions of MariaDB in short: the oldest, the newest, and replicas newer than their source (from 11.4 on a replica
// insists on TLS unless told otherwise, and 11.8 has other default collations). `npm run test:full` runs the five set-ups
// and the ordinary moves on every pair of versions.
const BY_FILE = { server: { 'log-slave-updates': 0 }, standbyLink: 'file', replicas: { link: 'file' } } as const;
const RUNS = [
  { versions: '10.5/10.5', bench: BY_FILE, proof: 'TakeoverPoint' },
  { versions: '10.5/11.8', bench: BY_FILE, proof: 'TakeoverPoint' },
  { versions: '11.8/11.8', bench: {}, proof: 'Contained' },
] as const;

for (const { versions: text, bench, proof } of RUNS) {
  const versions = versionPairOf(text);
  describe(`source/replicas ${text}`, { skip: await absentOf(versions) }, () => {
    let stage: Stage;
    before(async () => {
      stage = await begin({ bench: { ...bench, versions } });
    });
    after(async () => stage?.close());

    test('the replicas are adopted by GTID, follow a planned move under writes, and nothing is lost or doubled', async () => {
      const { a, b, replicas } = stage.bench;
      const { source } = await stage.following(a.name);
      await assertVersions(stage, versions);
      assert.ok(source.members.every(({ version }) => version?.startsWith(`${versions.source}.`)));
      for (const { name, db } of replicas) assert.equal((await slaveStatus(db))?.['Using_Gtid'], 'Slave_Pos', name);
      await movesUnderWrites(stage, { from: a, to: b, mix: 'equal', proof, fault: async () => a.planned() });
    });
  });
}

async function assertVersions({ bench }: Stage, { source, replicas }: VersionPair): Promise<void> {
  for (const [servers, version] of [
    [bench.members, source],
    [bench.replicas, replicas],
  ] as const) {
    for (const { name, db } of servers) {
      const said = (await db.row('SELECT @@version AS version'))['version'] ?? '';
      assert.ok(said.startsWith(`${version}.`), `${name} is ${said}`);
    }
  }
}
