import { test } from 'node:test';
import { inModes } from './support/modes.ts';
import { movesAmidWrites, movesUnderWrites } from './support/moves.ts';

inModes('a power failure', (stage) => {
  test('power-off of the primary host: each replica continues on the new member, nothing lost or doubled', async () => {
    const { a, b } = stage().bench;
    await movesUnderWrites(stage(), { from: a, to: b, pause: true, fault: async () => a.powerOff() });
  });

  test('the host comes back as a standby, and the other one loses its power in the middle of writes', async () => {
    const { bench } = stage();
    const { a, b } = bench;
    await bench.rejoin(a, 'keep');
    await movesAmidWrites(stage(), { from: b, to: a, fault: async () => b.powerOff() });
  });
});
