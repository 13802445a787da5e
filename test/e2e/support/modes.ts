import { after, before, describe } from 'node:test';
import { Stage } from './stage.ts';
import type { StageOptions } from './stage.ts';

interface Mode extends StageOptions {
  readonly name: string;
}

const GTID: Mode = { name: 'by GTID' };

/** The modes in which a move differs on the replicas' side. */
const OTHERS: readonly Mode[] = [
  {
    name: 'by file and position',
    bench: { replicas: { link: 'file', server: { 'skip-slave-start': 1 } } },
    spec: { link: { positioning: 'FilePosition' } },
  },
  { name: 'through the VIP', spec: { link: { through: 'VIP' } } },
];

/** Declares a story's tests, in sequence on one stage: by GTID, and in the full run in every other mode too. */
export function inModes(story: string, declare: (stage: () => Stage) => void): void {
  const modes = process.env['MXR_FULL'] === '1' ? [GTID, ...OTHERS] : [GTID];
  for (const { name, ...options } of modes) {
    describe(`${story}, ${name}`, () => {
      let stage: Stage | null = null;
      before(async () => {
        stage = await Stage.open(options);
        await stage.startOperator();
        await stage.createResource();
      });
      after(async () => stage?.close());
      declare(() => {
        if (stage === null) throw new Error('the stage is not open');
        return stage;
      });
    });
  }
}
