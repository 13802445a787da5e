// Primary and standby by file and position, the standby without log_slave_updates, on MariaDB 10.5: which takeover is
// proven and which is refused, by what mxr could see of it. docs/stories/hci-standby.md has the same table in words.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { orOwn, prepareVersions } from '../versions/servers.ts';
import { World } from './world.ts';

const { '10.5': version } = await prepareVersions();
const { title: VERSION, tools } = orOwn(version);
const FULL = process.env['MXR_FULL'] === '1';

interface Combination {
  readonly positioning: 'GTID' | 'FilePosition';
  /** `Watching`: mxr saw the standby where it took over. `AwayInCalm`: it ran before, and nothing was written since. */
  readonly mxr: 'Watching' | 'Away' | 'AwayInCalm';
  readonly fault: 'planned' | 'killed';
  /** The promotion script ran RESET SLAVE ALL. */
  readonly forgets: boolean;
  /** Writes reach the new holder before mxr looks. */
  readonly writes: boolean;
  /** Writes of the standby's own in its binlog: from before mxr ran, or from while it was away. */
  readonly own: 'none' | 'before' | 'meanwhile';
  /** Both members have one server_id, and replicate_same_server_id. */
  readonly equalIds: boolean;
}

/** The reason of a refusal; null: proven by the takeover point. */
function refusalOf({ mxr, forgets, own }: Combination): 'TakeoverUnknown' | 'NotPrefix' | null {
  if (forgets && mxr === 'Away') return 'TakeoverUnknown';
  return own === 'none' ? null : 'NotPrefix';
}

const DEFAULT: Combination = {
  positioning: 'GTID',
  mxr: 'Watching',
  fault: 'planned',
  forgets: false,
  writes: true,
  own: 'none',
  equalIds: false,
};
/** Each thing that matters once; all of them together in the full run. */
const FEW: readonly Partial<Combination>[] = [
  { fault: 'killed' },
  { forgets: true },
  { forgets: true, fault: 'killed', writes: false, positioning: 'FilePosition' },
  { mxr: 'Away' },
  { mxr: 'Away', fault: 'killed' },
  { mxr: 'Away', fault: 'killed', positioning: 'FilePosition' },
  { mxr: 'Away', forgets: true },
  { mxr: 'AwayInCalm', forgets: true, positioning: 'FilePosition' },
  { own: 'before', fault: 'killed' },
  { own: 'before', positioning: 'FilePosition' },
  { own: 'meanwhile', mxr: 'Away' },
  { equalIds: true, fault: 'killed', positioning: 'FilePosition' },
  { equalIds: true, mxr: 'Away', forgets: true },
];

function all(): Combination[] {
  const combinations: Combination[] = [];
  for (const positioning of ['GTID', 'FilePosition'] as const)
    for (const mxr of ['Watching', 'Away', 'AwayInCalm'] as const)
      for (const fault of ['planned', 'killed'] as const)
        for (const forgets of [false, true])
          for (const writes of [true, false])
            for (const own of ['none', 'before', 'meanwhile'] as const)
              for (const equalIds of [false, true])
                // Before anything is written the first own transaction cannot be compared.
                if (own === 'none' || (!equalIds && (own === 'before' || (mxr === 'Away' && writes))))
                  combinations.push({ positioning, mxr, fault, forgets, writes, own, equalIds });
  return combinations;
}

const COMBINATIONS = FULL ? all() : FEW.map((one) => ({ ...DEFAULT, ...one }));

describe(`a takeover by file and position on ${VERSION}`, { concurrency: 4 }, () => {
  for (const combination of COMBINATIONS) {
    const refusal = refusalOf(combination);
    test(`${titleOf(combination)}: ${refusal === null ? 'TakeoverPoint' : `Unproven/${refusal}`}`, async () => {
      const { positioning, equalIds } = combination;
      const byFile = positioning === 'FilePosition';
      const world = await World.open({
        tools,
        ...(equalIds ? { server: { 'replicate-same-server-id': 1 }, b: { 'server-id': 1 } } : {}),
        replica: byFile ? { 'skip-slave-start': 1 } : {},
        spec: { link: { positioning } },
      });
      try {
        await upTo(world, combination);
        const own = await transactionsOf(world.b);
        await takeOver(world, combination);
        if (refusal === null) {
          await world.assertProven('TakeoverPoint');
          await world.sameRows(world.b);
        } else {
          const message = await world.assertRefused('Unproven', refusal);
          const named = message.match(/\b0-2-\d+\b/g) ?? [];
          if (refusal === 'NotPrefix') {
            assert.ok(named.length > 0 && named.every((gtid) => own.includes(gtid)), `${message} of ${own.join(', ')}`);
          }
        }
      } finally {
        await world.close();
      }
    });
  }
});

function titleOf({ positioning, mxr, fault, forgets, writes, own, equalIds }: Combination): string {
  return [
    positioning,
    fault,
    mxr,
    forgets ? 'RESET SLAVE ALL' : 'STOP SLAVE',
    writes ? 'written to at once' : 'idle',
    own === 'none' ? 'no own writes' : `own writes ${own}`,
    ...(equalIds ? ['one server_id'] : []),
  ].join(', ');
}

/** Everything in its binlog, oldest first: it logs nothing of what it applies. */
async function transactionsOf(server: MariaDbServer): Promise<string[]> {
  const events = await server.sql('SHOW BINLOG EVENTS');
  return events.flatMap(({ Info: info }) => /\bGTID (\d+-\d+-\d+)/.exec(info ?? '')?.[1] ?? []);
}

const OWN_WRITE = 'CREATE DATABASE own; USE own; CREATE TABLE t (n INT); INSERT INTO t VALUES (1)';

async function upTo(world: World, { mxr, own }: Combination): Promise<void> {
  const { a, b } = world;
  if (own === 'before') await b.sql(OWN_WRITE);
  await world.write(a);
  await world.settled();
  world.startMxr();
  await world.followed(a);
  if (mxr !== 'Watching') {
    await world.storedStandby();
    world.killMxr();
  }
  if (own === 'meanwhile') await b.sql(OWN_WRITE);
  if (mxr !== 'AwayInCalm') await world.write(a);
  await world.settled();
  if (mxr === 'Watching') await world.seenStandby();
}

async function takeOver(world: World, { mxr, fault, forgets, writes }: Combination): Promise<void> {
  const { a, b } = world;
  if (fault === 'planned') await a.sql('SET GLOBAL read_only = 1');
  else await a.kill9();
  await world.promote(`STOP SLAVE; ${forgets ? 'RESET SLAVE ALL;' : ''}`, writes ? 1 : 0);
  if (mxr !== 'Watching') world.startMxr();
  await world.mxr.statusIs('the VIP is seen on the new holder', ({ holder }) => holder === b.name);
}
