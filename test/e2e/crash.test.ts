import { test } from 'node:test';
import { inModes } from './support/modes.ts';
import { movesAmidWrites, movesUnderWrites } from './support/moves.ts';

inModes('a crash', (stage) => {
  test('kill -9 of the primary: each replica continues on the new member, nothing lost or doubled', async () => {
    const { a, b } = stage().bench;
    await movesUnderWrites(stage(), { from: a, to: b, pause: true, fault: async () => a.kill9() });
  });

  test('kill -9 in the middle of writes: a replica continues with the right rows, or says that it is ahead and is', async () => {
    const { bench } = stage();
    await bench.rejoin(bench.a, 'clone');
    await movesAmidWrites(stage(), { from: bench.b, to: bench.a, fault: async () => bench.b.kill9() });
  });
});
