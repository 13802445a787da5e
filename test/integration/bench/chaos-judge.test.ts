import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { newPast } from '../../chaos/field.ts';
import type { Ended } from '../../chaos/judge-told.ts';
import { judgeTold } from '../../chaos/judge-told.ts';
import { createSide } from '../../chaos/side.ts';
import type { Told } from '../../chaos/truth.ts';
import type { Replica } from '../../support/bench.ts';
import { createBench } from '../../support/bench.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { Writer } from '../../support/writer.ts';

await enterSandbox();
const bench = await createBench();
after(() => bench.close());
const writer = new Writer(bench);
await writer.writes(60, 'hci-a');
await writer.stop();
const [r1, r2, r3] = bench.replicas;
assert.ok(r1 !== undefined && r2 !== undefined && r3 !== undefined);

const past = newPast();
const FOLLOWS = { verdict: 'Following', reason: 'Following', message: '', ready: true, labelled: true } as const;
const updated = new Set(writer.acknowledged.filter(({ table }) => table === 'hot').map(({ token }) => token));

interface Circumstances {
  readonly legal?: boolean;
  readonly hasSide?: boolean;
  readonly bothWrote?: boolean;
}

async function judged(
  told: Readonly<Record<string, Partial<Told>>>,
  { legal = false, hasSide = false, bothWrote = false }: Circumstances = {},
): Promise<Ended[]> {
  return judgeTold({
    bench,
    holder: bench.a,
    told: bench.replicas.map(({ name }) => ({ ...FOLLOWS, pod: name, ...told[name] })),
    past,
    legal,
    bothWrote,
    isInserted: (token) => !updated.has(token),
    hasSide,
    settleMs: 2_000,
  });
}

function refusal(verdict: Told['verdict'], reason: string = verdict): Partial<Told> {
  return { verdict, reason, ready: false, labelled: false };
}

/** One row is there twice; the result takes one of them away. */
async function doubles({ db }: Replica): Promise<() => Promise<void>> {
  const { token } = await db.row('SELECT token FROM app.plain GROUP BY token HAVING COUNT(*) = 1 LIMIT 1');
  await db.sql('SET sql_log_bin=0; INSERT INTO app.plain VALUES (?)', [token ?? '']);
  return async () =>
    void (await db.sql('SET sql_log_bin=0; DELETE FROM app.plain WHERE token = ? LIMIT 1', [token ?? '']));
}

function outcomes(ended: readonly Ended[]): string[] {
  return ended.map(({ replica, outcome, lost, doubled }) => `${replica} ${outcome} ${lost} ${doubled}`);
}

describe('the judge of a storm', () => {
  it('finds nothing wrong with replicas that follow and are right', async () => {
    assert.deepEqual(outcomes(await judged({}, { legal: true })), ['r1 right 0 0', 'r2 right 0 0', 'r3 right 0 0']);
  });

  it('calls untrue what is said of a replica that is right', async () => {
    const ended = await judged({ r1: refusal('Ahead'), r2: refusal('Purged'), r3: refusal('ApplierFailed') });
    assert.deepEqual(outcomes(ended), ['r1 untrue 0 0', 'r2 untrue 0 0', 'r3 untrue 0 0']);
    const [one, two, three] = await judged({
      r1: refusal('Unproven', 'LostTail'),
      r2: refusal('Waiting'),
      r3: { labelled: false },
    });
    assert.deepEqual([one?.outcome, two?.outcome, three?.outcome], ['untrue', 'untrue', 'untrue']);
  });

  it('calls denied what was refused in a legal history', async () => {
    const told = { r1: refusal('Unproven', 'LostTail') };
    past.lostTail.add('hci-a');
    assert.equal((await judged(told, { legal: true }))[0]?.outcome, 'denied');
    assert.equal((await judged(told))[0]?.outcome, 'refused');
    past.lostTail.clear();
  });

  it('calls denied what is ahead in a legal history: nobody but mxr can have made it so', async () => {
    await r1.db.sql("SET sql_log_bin=0; INSERT INTO app.plain VALUES ('only here')");
    const told = { r1: refusal('Ahead') };
    assert.equal((await judged(told))[0]?.outcome, 'refused');
    assert.equal((await judged(told, { legal: true }))[0]?.outcome, 'denied');
    await r1.db.sql("SET sql_log_bin=0; DELETE FROM app.plain WHERE token = 'only here'");
  });

  it('finds a doubled row under a refusal that says nothing of it', async () => {
    const undo = await doubles(r1);
    past.twoHolders = true;
    const frozen = { ...refusal('Frozen', 'SplitBrain'), message: 'annotate mxr.dev/approve=split-1' };
    const told = { r1: frozen, r2: frozen };
    assert.deepEqual(outcomes(await judged(told)), ['r1 silent 0 1', 'r2 refused 0 0', 'r3 right 0 0']);
    past.twoHolders = false;
    assert.equal((await judged({ r2: frozen }))[1]?.outcome, 'untrue', 'nobody was split');
    await undo();
  });

  it('calls silent a row whose last change is another, unless two members may have made it', async () => {
    await r1.db.sql("SET sql_log_bin=0; UPDATE app.hot SET token = 'another' WHERE id = 7");
    assert.deepEqual(outcomes(await judged({})), ['r1 silent 1 1', 'r2 right 0 0', 'r3 right 0 0']);
    assert.deepEqual(outcomes(await judged({}, { bothWrote: true })), ['r1 right 0 0', 'r2 right 0 0', 'r3 right 0 0']);
    await r1.db.sql('SET sql_log_bin=0; UPDATE app.hot SET token = ? WHERE id = 7', [
      (await bench.a.db.row('SELECT token FROM app.hot WHERE id = 7'))['token'] ?? '',
    ]);
  });

  it('calls silent what lacks a row of the database that the standby filters', async () => {
    await createSide(bench);
    for (const db of bench.servers) await db.sql("SET sql_log_bin=0; INSERT INTO side.noise VALUES ('side-1')");
    assert.deepEqual(outcomes(await judged({}, { hasSide: true })), ['r1 right 0 0', 'r2 right 0 0', 'r3 right 0 0']);
    await r1.db.sql('SET sql_log_bin=0; DELETE FROM side.noise');
    assert.deepEqual(outcomes(await judged({}, { hasSide: true })), ['r1 silent 1 0', 'r2 right 0 0', 'r3 right 0 0']);
    await r1.db.sql("SET sql_log_bin=0; INSERT INTO side.noise VALUES ('side-1'), ('side-2')");
    const [ahead] = await judged({ r1: refusal('Ahead') });
    assert.equal(ahead?.outcome, 'refused', 'it has a row that the filter kept from the holder');
    await r1.db.sql("SET sql_log_bin=0; DELETE FROM side.noise WHERE token = 'side-2'");
  });

  it('calls restless a verdict that comes back again and again', async () => {
    const flaps = Array.from({ length: 4 }, () => ['Following/Following', 'Unproven/NotPrefix out']).flat();
    past.said.set('r1', flaps);
    assert.equal((await judged({}))[0]?.outcome, 'restless');
    past.lostTail.add('hci-a');
    assert.equal((await judged({ r1: refusal('Unproven', 'LostTail') }))[0]?.outcome, 'restless');
    past.lostTail.clear();
    past.said.clear();
  });

  it('calls silent what is said to follow and is damaged: a row gone, a row doubled, another shape', async () => {
    await r1.db.sql('SET sql_log_bin=0; DELETE FROM app.plain LIMIT 1');
    const undo = await doubles(r2);
    await r3.db.sql('SET sql_log_bin=0; CREATE TABLE app.shape_1 (id INT PRIMARY KEY)');
    const ended = await judged({});
    assert.deepEqual(outcomes(ended), ['r1 silent 1 0', 'r2 silent 0 1', 'r3 silent 0 0']);
    assert.match(ended[2]?.why ?? '', /shape: has too much shape_1/);
    await undo();
  });

  it('takes Ahead and Diverged for true where the rows say so, and Purged where the binlog is gone', async () => {
    await r1.db.sql('SET sql_log_bin=0; DELETE FROM app.auto LIMIT 1');
    await r2.db.sql("SET sql_log_bin=0; INSERT INTO app.plain VALUES ('only here')");
    const told = { r1: refusal('Purged'), r2: refusal('Ahead') };
    const [before, ahead] = await judged(told);
    assert.equal(before?.outcome, 'untrue', "the holder's binlog still has the row");
    assert.equal(ahead?.outcome, 'refused');
    const files = await bench.a.db.sql('FLUSH BINARY LOGS; SHOW BINARY LOGS');
    const newest = files.at(-1)?.['Log_name'] ?? '';
    await until('the holder has purged everything', async () => {
      return (await bench.a.db.sql(`PURGE BINARY LOGS TO '${newest}'; SHOW BINARY LOGS`)).length === 1;
    });
    const [after, diverged] = await judged({ r1: refusal('Purged'), r2: refusal('Diverged') });
    assert.deepEqual([after?.outcome, diverged?.outcome], ['refused', 'refused']);
  });

  it('sees the label of a pod that nobody may read', async () => {
    const [, ahead] = await judged({ r2: { ...refusal('Ahead'), labelled: true } });
    assert.equal(ahead?.outcome, 'untrue');
    assert.match(ahead.why, /read Service/);
  });
});
