import { after, before, describe } from 'node:test';
import type { BenchOptions } from '../../support/bench.ts';
import type { LinkMode } from '../../support/link.ts';
import { Stage } from './stage.ts';
import type { StageOptions } from './stage.ts';

interface Mode extends StageOptions {
  readonly name: string;
}

const GTID: Mode = { name: 'by GTID' };

/** A server that starts its link by itself is not safe by file and position (handover.md, Crash of a replica). */
const BY_FILE = {
  name: 'by file and position',
  bench: { replicas: { link: 'file', server: { 'skip-slave-start': 1 } } },
  spec: { link: { positioning: 'FilePosition' } },
} as const satisfies Mode;

/** The modes in which a move differs on the replicas' side. */
const OTHERS: readonly Mode[] = [BY_FILE, { name: 'through the VIP', spec: { link: { through: 'VIP' } } }];

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

/** How the replicas are positioned, and the stage for it. */
export interface Positioned {
  readonly name: string;
  readonly by: LinkMode;
  readonly options: StageOptions;
}

/** By GTID, and in the full run by file and position too: there the pair may have options of its own. */
export function positionings(bench: BenchOptions = {}, benchByFile: BenchOptions = {}): readonly Positioned[] {
  const byGtid: Positioned = { name: GTID.name, by: 'gtid', options: { bench } };
  if (process.env['MXR_FULL'] !== '1') return [byGtid];
  const { name, spec } = BY_FILE;
  const options = { spec, bench: { ...bench, ...benchByFile, ...BY_FILE.bench } };
  return [byGtid, { name, by: 'file', options }];
}
