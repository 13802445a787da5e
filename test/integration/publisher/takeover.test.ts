import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { enterSandbox } from '../../support/sandbox.ts';
import { PASSWORD } from '../observe/servers.ts';
import type { Pair } from './pair.ts';
import { follow, hasAll, place, promote, standing, startPair, write } from './pair.ts';
import { PublisherProcess, moveVip } from './process.ts';

await enterSandbox();

const VIP = '10.9.0.100';

/** A pair by file and position whose standby does not log what it applies: nothing on it tells afterwards where it took over. */
describe('the takeover record of a real standby', { timeout: 300_000 }, () => {
  let pair: Pair;
  let publisher: PublisherProcess;
  let round = 0;
  const start = (): Promise<PublisherProcess> =>
    PublisherProcess.start({ name: `hci-b-${round}`, server: pair.standby, flags: [`--vip=${VIP}`] });

  before(async () => {
    pair = await startPair();
  });
  after(() => pair?.stop());

  /** Both empty again, with local writes in the standby's binlog from before it was a standby. */
  beforeEach(async () => {
    round += 1;
    const { primary, standby } = pair;
    if (!primary.running) await primary.start();
    await standby.sql('STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0');
    for (const server of [primary, standby]) {
      await server.sql("DROP DATABASE IF EXISTS d; RESET MASTER; SET GLOBAL gtid_slave_pos = ''");
    }
    await standby.sql(
      'CREATE DATABASE local; CREATE TABLE local.t (a INT); INSERT INTO local.t VALUES (1); DROP DATABASE local',
    );
    await primary.sql('CREATE DATABASE d; CREATE TABLE d.t (a INT AUTO_INCREMENT PRIMARY KEY, b INT)');
    await follow(standby, primary);
    await standby.sql('SET GLOBAL read_only = 1');
    await write(primary, 30);
    await hasAll(standby, primary);
  });

  /** Where the standby stands, once the publisher says the same. */
  async function watched() {
    let truth = await standing(pair.standby);
    await publisher.coordinatesWhen('the record is where the standby stands', async (now) => {
      truth = await standing(pair.standby);
      return JSON.stringify(place(now.takeover)) === JSON.stringify(truth);
    });
    return truth;
  }

  async function ended(): Promise<void> {
    await publisher.end('SIGKILL');
  }

  /** The VIP comes to the host of the standby, and is gone again afterwards, as is the publisher. */
  async function withVip(work: () => Promise<void>): Promise<void> {
    moveVip(VIP, 'add');
    try {
      await work();
    } finally {
      moveVip(VIP, 'del');
      await ended();
    }
  }

  /** A publisher that is started now has looked at all that the server wrote, and the record is what it was. */
  async function startedAgainSays(truth: Awaited<ReturnType<typeof watched>>): Promise<void> {
    publisher = await start();
    const end = await standing(pair.standby);
    const said = await publisher.coordinatesWhen('it has looked', (now) => now.position === end.ownPosition);
    assert.deepEqual(place(said.takeover), truth);
  }

  test('is the place before the first own transaction, with writes at once after the promotion', async () => {
    publisher = await start();
    const truth = await watched();
    await pair.primary.kill9();
    await withVip(async () => {
      await promote(pair.standby);
      await write(pair.standby, 40);
      const end = await standing(pair.standby);
      const said = await publisher.coordinatesWhen('it has seen the writes', (now) => now.position === end.ownPosition);
      assert.deepEqual(place(said.takeover), truth);
      assert.equal(said.vipHeld, true);
      assert.equal(said.slave, null);
      assert.equal(said.readOnly, false);
      assert.deepEqual([said.takeover?.usingGtid, said.takeover?.drained], [false, true]);
      assert.equal(said.takeover?.peerServerId, 1);
      assert.ok(end.ownPosition > truth.ownPosition);
      // The first own transaction of the holder follows what it had applied.
      const [event] = await pair.standby.sql(
        `SHOW BINLOG EVENTS IN '${truth.ownFile}' FROM ${truth.ownPosition} LIMIT 1`,
      );
      const next = BigInt(truth.gtid.split('-')[2] ?? 0) + 1n;
      assert.match(event?.['Info'] ?? '', new RegExp(`GTID 0-2-${next}$`, 'u'));
    });
  });

  test('is on the disk when the publisher dies right after the takeover, and is the same afterwards', async () => {
    publisher = await start();
    const truth = await watched();
    await pair.primary.kill9();
    await withVip(async () => {
      await promote(pair.standby);
      await publisher.coordinatesWhen('it has seen the first write', (now) => now.position > truth.ownPosition);
      await ended();
      await write(pair.standby, 40);
      await startedAgainSays(truth);
    });
  });

  test('comes from the journal when the publisher was dead during the whole takeover', async () => {
    publisher = await start();
    const truth = await watched();
    // At most a second later it is on the disk.
    await publisher.coordinatesWhen('the journal has it', async () => {
      return (await publisher.journal()).at(-1)?.takeover?.peerPosition === truth.peerPosition;
    });
    await ended();
    await pair.primary.kill9();
    await withVip(async () => {
      await promote(pair.standby);
      await write(pair.standby, 40);
      await startedAgainSays(truth);
    });
  });

  test('is given up when the standby applied something that nobody saw', async () => {
    publisher = await start();
    const truth = await watched();
    await publisher.end();
    await write(pair.primary, 5);
    await hasAll(pair.standby, pair.primary);
    await pair.primary.kill9();
    await withVip(async () => {
      await promote(pair.standby);
      publisher = await start();
      const said = await publisher.coordinatesWhen('it has looked', (now) => now.position > truth.ownPosition);
      assert.equal(said.takeover, null);
      assert.ok(
        publisher.lines.some((line) => line['reason'] === 'AppliedSince'),
        publisher.output,
      );
    });
  });

  test('begins anew when the server is a standby again', async () => {
    publisher = await start();
    await watched();
    const { primary, standby } = pair;
    moveVip(VIP, 'add');
    await standby.sql('STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0; CREATE TABLE d.own (a INT)');
    await publisher.coordinatesWhen('it is the holder', (now) => now.vipHeld === true && now.readOnly === false);
    moveVip(VIP, 'del');
    const { File: file = '', Position: position = '' } = await primary.row('SHOW MASTER STATUS');
    await standby.sql(
      `SET GLOBAL read_only = 1; CHANGE MASTER TO MASTER_HOST = '${primary.host}', MASTER_PORT = ${primary.port}, MASTER_USER = 'repl',
       MASTER_PASSWORD = ?, MASTER_LOG_FILE = '${file}', MASTER_LOG_POS = ${position}, MASTER_USE_GTID = no; START SLAVE`,
      [PASSWORD],
    );
    await write(primary, 3);
    await hasAll(standby, primary);
    const truth = await watched();
    const said = await publisher.coordinates();
    assert.deepEqual(place(said.takeover), truth);
    assert.match(truth.binlogState, /0-2-/u);
    await ended();
  });
});
