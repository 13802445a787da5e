import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { ServerLook } from '../../../src/domain/observation.ts';
import { nextIncarnation } from '../../../src/observe/incarnation.ts';
import { lookAtServer } from '../../../src/observe/look.ts';
import { fakeServer, TARGET } from './fake-server.ts';

async function aLook(connectionId: number): Promise<ServerLook> {
  const server = fakeServer({ nextId: connectionId - 1 });
  const session = await server.connect(TARGET, { deadlineMs: 1_000 });
  return lookAtServer(session, { clock: systemClock, deadlineMs: 1_000, files: false, previousFiles: [] });
}

let number = 0;
const newNumber = (): number => (number += 1);

describe('the incarnations of a server', () => {
  test('a later session of the same life changes nothing', async () => {
    number = 0;
    const first = nextIncarnation(null, await aLook(10), 100, newNumber);
    const second = nextIncarnation(first, await aLook(11), 200, newNumber);
    assert.deepEqual([second.number, second.since, second.connectionId], [1, 100, 11]);
  });

  test('a lower connection id is another life, within the same second', async () => {
    number = 0;
    const first = nextIncarnation(null, await aLook(10), 100, newNumber);
    const second = nextIncarnation(first, await aLook(4), 200, newNumber);
    assert.deepEqual([second.number, second.since], [2, 200]);
  });

  for (const change of [
    { startedAt: 1_700_000_001_000 },
    { hostname: 'other' },
    { serverId: 2 },
    { serverUid: 'other' },
    { port: 3307 },
    { datadir: '/other/' },
  ]) {
    test(`another ${Object.keys(change).join()} is another life`, async () => {
      const look = await aLook(10);
      number = 0;
      const first = nextIncarnation(null, look, 100, newNumber);
      const second = nextIncarnation(
        first,
        { ...look, identity: { ...look.identity, ...change }, connectionId: 99 },
        200,
        newNumber,
      );
      assert.equal(second.number, 2);
    });
  }
});
