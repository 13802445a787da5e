import { test } from 'node:test';
import { inModes } from './support/modes.ts';
import { movesUnderWrites } from './support/moves.ts';

inModes('a move and back', (stage) => {
  test('a planned move and back again', async () => {
    const { bench } = stage();
    const { a, b } = bench;
    await movesUnderWrites(stage(), { from: a, to: b, fault: async () => a.planned() });
    await bench.rejoin(a, 'keep');
    await movesUnderWrites(stage(), { from: b, to: a, fault: async () => b.planned() });
    await bench.rejoin(b, 'keep');
  });

  test('a crash, the dead member rebuilt from the new one, and a crash back again', async () => {
    const { bench } = stage();
    const { a, b } = bench;
    await movesUnderWrites(stage(), { from: a, to: b, pause: true, fault: async () => a.kill9() });
    await bench.rejoin(a, 'clone');
    await movesUnderWrites(stage(), { from: b, to: a, pause: true, fault: async () => b.kill9() });
  });
});
