import { test } from 'node:test';
import { begin } from './support/begin.ts';
import { heldBackByLostTail, WITH_ROWS, WITHOUT_ROWS } from './support/lost-tail.ts';
import { SHARED } from './support/shared.ts';

// The first move of a shared storage, and the end of the binlog is lost in it: nothing was proven of the other host before.
const LINKS = process.env['MXR_FULL'] === '1' ? (['Member', 'VIP'] as const) : (['Member'] as const);

for (const topology of ['SharedStorage', 'Auto'] as const) {
  for (const loss of [WITHOUT_ROWS, WITH_ROWS]) {
    for (const through of LINKS) {
      test(`a lost tail at the first move, ${loss.name}, topology ${topology}, links through the ${through}`, async () => {
        const stage = await begin({ bench: SHARED, spec: { source: { topology }, link: { through } } });
        try {
          await stage.following(stage.bench.a.name);
          await heldBackByLostTail(stage, loss);
        } finally {
          await stage.close();
        }
      });
    }
  }
}
