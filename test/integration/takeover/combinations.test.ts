// Primary and standby by file and position, the standby without log_slave_updates, on MariaDB 10.5: which takeover is
// proven and which is refused, by what mxr could see of it. docs/stories/hci-standby.md has the same table in words.
import { describe, test } from 'node:test';
import { prepareVersions } from '../versions/servers.ts';
import { World } from './world.ts';

const { '10.5': version } = await prepareVersions();
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
};
/** Each thing that matters once; all of them together in the full run. */
const FEW: readonly Partial<Combination>[] = [
  { fault: 'killed' },
  { forgets: true },
  { forgets: true, fault: 'killed', writes: false, positioning: 'FilePosition' },
  { mxr: 'Away' },
  { mxr: 'Away', forgets: true },
  { mxr: 'AwayInCalm', forgets: true, positioning: 'FilePosition' },
  { own: 'before', fault: 'killed' },
  { own: 'meanwhile', mxr: 'Away' },
];

function all(): Combination[] {
  const combinations: Combination[] = [];
  for (const positioning of ['GTID', 'FilePosition'] as const)
    for (const mxr of ['Watching', 'Away', 'AwayInCalm'] as const)
      for (const fault of ['planned', 'killed'] as const)
        for (const forgets of [false, true])
          for (const writes of [true, false])
            for (const own of ['none', 'before', 'meanwhile'] as const)
              // Before anything is written the first own transaction cannot be compared.
              if (own !== 'meanwhile' || (mxr === 'Away' && writes))
                combinations.push({ positioning, mxr, fault, forgets, writes, own });
  return combinations;
}

const COMBINATIONS = FULL ? all() : FEW.map((one) => ({ ...DEFAULT, ...one }));

describe('a takeover by file and position on MariaDB 10.5', { concurrency: 4, skip: version.skip }, () => {
  for (const combination of COMBINATIONS) {
    const refusal = refusalOf(combination);
    test(`${titleOf(combination)}: ${refusal === null ? 'TakeoverPoint' : `Unproven/${refusal}`}`, async () => {
      const byFile = combination.positioning === 'FilePosition';
      const world = await World.open({
        tools: version.tools,
        replica: byFile ? { 'skip-slave-start': 1 } : {},
        spec: { link: { positioning: combination.positioning } },
      });
      try {
        await upTo(world, combination);
        await takeOver(world, combination);
        if (refusal === null) {
          await world.assertProven('TakeoverPoint');
          await world.sameRows(world.b);
        } else await world.assertRefused('Unproven', refusal);
      } finally {
        await world.close();
      }
    });
  }
});

function titleOf({ positioning, mxr, fault, forgets, writes, own }: Combination): string {
  return [
    positioning,
    fault,
    mxr,
    forgets ? 'RESET SLAVE ALL' : 'STOP SLAVE',
    writes ? 'written to at once' : 'idle',
    own === 'none' ? 'no own writes' : `own writes ${own}`,
  ].join(', ');
}

const OWN_WRITE = 'CREATE DATABASE own; USE own; CREATE TABLE t (n INT); INSERT INTO t VALUES (1)';

async function upTo(world: World, { mxr, own }: Combination): Promise<void> {
  const { a, b } = world;
  if (own === 'before') await b.sql(OWN_WRITE);
  await world.write(a);
  await world.settled();
  world.startMxr();
  await world.followed(a);
  await world.seenStandby();
  if (mxr !== 'Watching') world.killMxr();
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
