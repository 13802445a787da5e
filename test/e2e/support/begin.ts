import { allReached, insertAt } from './refusal.ts';
import { Stage } from './stage.ts';
import type { StageOptions } from './stage.ts';

/** Opens a stage on which the operator leads and has the resource. */
export async function begin(options: StageOptions = {}): Promise<Stage> {
  const stage = await Stage.open(options);
  try {
    await stage.startOperator();
    await stage.createResource();
    return stage;
  } catch (error) {
    await stage.close();
    throw error;
  }
}

/** Resolves when every replica follows `hci-a`, proven, and has rows that were written there since. */
export async function calm(stage: Stage): Promise<void> {
  const { bench } = stage;
  await stage.following('hci-a');
  await insertAt(bench.a.db, 3);
  await allReached(bench, bench.replicas, bench.a.db);
}
