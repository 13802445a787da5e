import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { boundaries, startArmedOperator, STATEMENTS } from './support/killed-operator.ts';
import { describe, Stage } from './support/stage.ts';

let stage: Stage;

before(async () => {
  stage = await Stage.open();
});
after(async () => stage.close());

// Every process begins where the one before it died, from the status alone, and dies at the next boundary.
test('the operator is killed before and after each statement of an adoption: the last one ends as the first would have', async (t) => {
  const { bench } = stage;
  const writer = new Writer(bench);
  await stage.createResource();
  const died: string[] = [];
  for (const boundary of boundaries(STATEMENTS)) {
    const operator = await startArmedOperator(stage, boundary);
    const all = async (): Promise<boolean> => (await stage.status()).following === '3/3';
    await until('it dies, or has adopted everything', async () => !operator.running || (await all())).catch(
      async (error: unknown) => {
        const status = describe(await stage.status());
        throw new Error(`${boundary}: ${(error as Error).message}; ${status}\n${operator.tail()}`, { cause: error });
      },
    );
    if (!operator.running) died.push(boundary);
    await operator.kill9();
    if (await all()) break;
  }
  t.diagnostic(`died ${died.join(', ')}`);
  assert.ok(died.length >= 9, `only died ${died.join(', ')}`);
  await stage.startOperator();
  const status = await stage.following('hci-a');
  await writer.stop();
  await assertRight(bench, bench.a);
  assert.equal(status.intent, undefined, 'no handover is left open');
});
