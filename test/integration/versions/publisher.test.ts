import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Coordinates } from '../../../src/api/publisher.ts';
import { ownPosition } from '../../support/link.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import type { Pair } from '../publisher/pair.ts';
import { hasAll, promote, standing, startPair, write } from '../publisher/pair.ts';
import { PublisherProcess, moveVip } from '../publisher/process.ts';
import { OTHER_VERSIONS } from '../../support/versions.ts';
import { prepareVersions } from './servers.ts';

const versions = await prepareVersions();
const VIP = '10.9.0.100';

/** What the record says, in the order of `standing`. */
function recordOf({ takeover }: Coordinates): unknown {
  if (takeover === null) return null;
  const { ownFile, ownPosition: position, peerFile, peerPosition, gtid, binlogState } = takeover;
  return { ownFile, ownPosition: position, peerFile, peerPosition, gtid, binlogState };
}

// In short; test/integration/publisher has all of it, on the version of this machine.
for (const name of OTHER_VERSIONS) {
  const { tools, skip } = versions[name];
  describe(`the publisher beside MariaDB ${name}`, { timeout: 180_000, skip }, () => {
    let pair: Pair;
    let ofPrimary: PublisherProcess;
    let ofStandby: PublisherProcess;
    const start = (server: MariaDbServer, flags: readonly string[] = []): Promise<PublisherProcess> =>
      PublisherProcess.start({ name: server.name, server, flags: [`--vip=${VIP}`, ...flags] });

    before(async () => {
      assert.ok(tools !== undefined);
      pair = await startPair({ tools, suffix: name.replace('.', '') });
      ofPrimary = await start(pair.primary);
      ofStandby = await start(pair.standby, [`--db-socket=${pair.standby.socket}`, `--peer-url=${ofPrimary.url}`]);
    });
    after(async () => {
      await Promise.all([ofPrimary, ofStandby].map((publisher) => publisher?.end()));
      await pair?.stop();
    });

    test('says what the servers themselves say', async () => {
      const { primary, standby } = pair;
      await write(primary, 20);
      await hasAll(standby, primary);
      const end = await ownPosition(primary);
      const said = await ofPrimary.coordinatesWhen('it has seen the end', (now) => now.position === end.position);
      const row = await primary.row('SELECT @@server_id id, @@datadir datadir, @@gtid_binlog_state state');
      assert.deepEqual([said.file, said.gtidBinlogPos, said.gtidBinlogState], [end.file, end.gtid, row['state']]);
      assert.deepEqual([said.readOnly, said.slave, said.logSlaveUpdates], [false, null, false]);
      assert.deepEqual([said.identity?.serverId, said.identity?.datadir], [Number(row['id']), row['datadir']]);
      assert.match(said.identity?.datadirId ?? '', /^[0-9a-f]{16}$/u);
      // MariaDB 10.5 does not have the variable.
      const uids = await primary.sql("SHOW GLOBAL VARIABLES LIKE 'server_uid'");
      const uid = uids[0]?.['Value'] ?? '';
      assert.equal(said.identity?.serverUid, uid === 'unknown' ? '' : uid);
      const truth = await standing(standby);
      const other = await ofStandby.coordinatesWhen('it has seen all of it', (now) => now.gtidSlavePos === truth.gtid);
      assert.deepEqual([other.slave?.file, other.slave?.position], [truth.peerFile, truth.peerPosition]);
      assert.deepEqual([other.slave?.masterServerId, other.readOnly, other.vipHeld], [1, true, false]);
      await ofStandby.coordinatesWhen('it has heard of its peer', (now) => now.peer?.gtidBinlogPos === end.gtid);
    });

    test('keeps the takeover record: written at once after a promotion that forgets, and by the next process', async () => {
      const { primary, standby } = pair;
      const truth = await standing(standby);
      await ofStandby.coordinatesWhen('it has the record', (now) => {
        return JSON.stringify(recordOf(now)) === JSON.stringify(truth);
      });
      await primary.kill9();
      moveVip(VIP, 'add');
      try {
        await promote(standby);
        await write(standby, 20);
        const end = await ownPosition(standby);
        const sees = (now: Coordinates): boolean => now.position === end.position;
        const said = await ofStandby.coordinatesWhen('it has seen the writes', sees);
        assert.deepEqual(recordOf(said), truth);
        assert.deepEqual([said.vipHeld, said.readOnly, said.slave], [true, false, null]);
        await ofStandby.end('SIGKILL');
        ofStandby = await start(standby);
        assert.deepEqual(recordOf(await ofStandby.coordinatesWhen('the next one has looked', sees)), truth);
      } finally {
        moveVip(VIP, 'del');
      }
    });

    test('tells a server that died, and that it is another life that answers', async () => {
      const { primary } = pair;
      const dead = await ofPrimary.coordinatesWhen('it does not answer', (now) => !now.databaseAnswers);
      await primary.start();
      const again = await ofPrimary.coordinatesWhen('it answers again', (now) => now.databaseAnswers);
      assert.notEqual(again.file, dead.file, 'a start begins a file; its time is in whole seconds');
      assert.equal(again.identity?.datadirId, dead.identity?.datadirId);
    });
  });
}
