import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Replica } from '../support/bench.ts';
import { snapshotData } from '../support/clone.ts';
import { slaveStatus } from '../support/link.ts';
import { TABLES } from '../support/schema.ts';
import { Writer } from '../support/writer.ts';
import { condition } from './support/moves.ts';
import { Stage } from './support/stage.ts';

// The dangerous restart: nothing moves, the server comes back at once without its last transactions, and clients write
// on at once. MariaDB's own reconnect ends at Yes/Yes with wrong rows (facts/mariadb.md §11b).
let stage: Stage;

before(async () => {
  stage = await Stage.open({ bench: { readOnly: false, fall: 10 } });
  await stage.startOperator();
  await stage.createResource();
  await stage.following('hci-a');
});
after(async () => stage.close());

test('the holder loses its tail and is written to at once: receiving stops first, nothing foreign arrives', async () => {
  const { bench } = stage;
  const writer = new Writer(bench);
  await writer.writes(200, 'hci-a');

  const late = await losesTail(writer);

  const status = await stage.statusIs('every replica is refused because of the lost tail', ({ replicas }) =>
    replicas.every(({ reason }) => reason === 'LostTail'),
  );
  await writer.writes(200, 'hci-a');
  await writer.stop();
  assert.deepEqual(
    status.replicas.map(({ verdict, ready }) => `${verdict} ${String(ready)}`),
    ['Ahead false', 'Ahead false', 'Ahead false'],
  );
  for (const replica of status.replicas) {
    assert.match(replica.message, /hci-a.*restarted without.*[Rr]eseed/);
    assert.ok((replica.transactions?.gtids.length ?? 0) > 0, 'it lists what the holder lacks');
  }
  assert.equal(condition(status, 'ReplicasIntact'), 'False/Ahead');
  assert.equal(condition(status, 'Ready'), 'False/Ahead');
  for (const replica of bench.replicas) {
    assert.deepEqual(await tokensOf(replica, late), [], `${replica.name} received what was written after the restart`);
    assert.equal((await slaveStatus(replica.db))?.['Slave_IO_Running'], 'No');
  }
});

/** Kills the holder, puts back its data as it was a few transactions ago, and answers what is written from then on. */
async function losesTail(writer: Writer): Promise<() => ReadonlySet<string>> {
  const { bench } = stage;
  const restore = await snapshotData(bench.a.db);
  await writer.writes(8, 'hci-a');
  await bench.a.kill9();
  await restore();
  const known = new Set(writer.acknowledged.map(({ token }) => token));
  const unsure = writer.failed.length;
  await bench.a.db.start();
  await writer.writes(50, 'hci-a');
  return () => {
    const failed = new Set(writer.failed.slice(0, unsure + 1).map(({ token }) => token));
    return new Set(writer.acknowledged.map(({ token }) => token).filter((one) => !known.has(one) && !failed.has(one)));
  };
}

/** The rows of a replica that carry one of these tokens. */
async function tokensOf({ db }: Replica, late: () => ReadonlySet<string>): Promise<string[]> {
  const wanted = late();
  const found: string[] = [];
  for (const table of TABLES) {
    const rows = await db.sql(`SELECT token FROM app.${table}`);
    found.push(...rows.flatMap(({ token }) => (token != null && wanted.has(token) ? [token] : [])));
  }
  return found;
}
