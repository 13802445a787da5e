import fc from 'fast-check';
import { anyPair, moveTo } from './arbitrary.ts';
import type { WorldEvent } from './events.ts';
import type { Happening, History } from './history.ts';

/** What may happen to a pair whose administrators make no mistake and whose servers lose nothing. */
type Block =
  | { readonly kind: 'Work'; readonly count: number; readonly flow: number }
  | { readonly kind: 'Move'; readonly how: 'planned' | 'crash' }
  | { readonly kind: 'RestartHolder'; readonly clean: boolean }
  | { readonly kind: 'RestartReplica' | 'Rotate' | 'NewProcess' }
  | { readonly kind: 'Held' | 'Hidden'; readonly server: number };

const block: fc.Arbitrary<Block> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('Work'), count: fc.nat(3), flow: fc.nat(3) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('Move'), how: fc.constantFrom('planned', 'crash') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('RestartHolder'), clean: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('RestartReplica', 'Rotate', 'NewProcess') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('Held', 'Hidden'), server: fc.nat(4) }) },
);

/** Passes of mxr between the steps of a block, over looks that are taken in any order and may be old. */
const passes = fc.array(
  fc.record({
    kind: fc.constant('Pass'),
    order: fc.array(fc.nat(5), { minLength: 2, maxLength: 8 }),
    ms: fc.constantFrom(5, 50, 300),
  }),
  { maxLength: 4 },
) as fc.Arbitrary<Happening[]>;

const history = fc.record({
  options: anyPair,
  link: fc.constantFrom({ positioning: 'Auto', through: 'Auto' }, { positioning: 'FilePosition', through: 'Auto' }),
  blocks: fc.array(fc.tuple(block, passes), { minLength: 1, maxLength: 8 }),
  interruptions: fc.array(
    fc.record({ at: fc.integer({ min: 1, max: 30 }), event: fc.constant({ kind: 'Kill' as const }) }),
    { maxLength: 1 },
  ),
});

export const legalHistory = history.map(({ blocks, options, ...rest }) => {
  // After a restart of its source a replica without a binlog cannot show what it has: it may have to stay Unproven.
  const shows = options.replicaLogSlaveUpdates || blocks.some(([{ kind }]) => kind === 'RestartHolder');
  return { ...rest, options: { ...options, replicaLogSlaveUpdates: shows }, happenings: unfold(blocks) };
}) as fc.Arbitrary<History>;

function unfold(blocks: readonly (readonly [Block, readonly Happening[]])[]): Happening[] {
  const happenings: Happening[] = [{ kind: 'Calm', rounds: 8 }];
  let holder = 0;
  for (const [one, between] of blocks) {
    const steps = stepsOf(one, holder);
    if (one.kind === 'Move') holder = 1 - holder;
    for (const [at, step] of steps.entries()) happenings.push(step, ...between.slice(at, at + 1));
    happenings.push({ kind: 'Calm', rounds: 9 });
  }
  return happenings;
}

function stepsOf(one: Block, holder: number): Happening[] {
  switch (one.kind) {
    case 'Work':
      return [
        world({ kind: 'Write', count: one.count, size: 100 }, { kind: 'Flow', count: one.flow }),
        world({ kind: 'Write', count: 1, size: 250 }),
      ];
    case 'Move':
      return [...withSilence(moveTo(1 - holder, one.how, true)), world({ kind: 'Write', count: 1, size: 100 })];
    case 'RestartHolder':
      return [
        world({ kind: 'Stop', member: holder }),
        world({ kind: 'Start', member: holder, clean: one.clean, lostTail: 0, engineToo: false }),
        world({ kind: 'Promote', member: holder, drain: true }, { kind: 'Write', count: 1, size: 100 }),
      ];
    case 'RestartReplica':
      return [world({ kind: 'RestartReplica', server: 0 })];
    case 'Rotate':
      return [world({ kind: 'Rotate', member: holder }, { kind: 'Write', count: 1, size: 100 })];
    case 'NewProcess':
      return [{ kind: 'NewProcess' }];
    case 'Held':
      return during(
        { kind: 'Hold', server: one.server, held: true },
        { kind: 'Hold', server: one.server, held: false },
      );
    case 'Hidden':
      return during(
        { kind: 'Hide', server: one.server, hidden: true },
        { kind: 'Hide', server: one.server, hidden: false },
      );
    default:
      return one satisfies never;
  }
}

/** Nobody has the VIP for a moment, and mxr sees that. */
function withSilence([first, ...rest]: readonly Happening[]): Happening[] {
  return first === undefined
    ? []
    : [first, world({ kind: 'VipTo', members: [] }), { kind: 'Calm', rounds: 2 }, ...rest];
}

function during(begin: WorldEvent, end: WorldEvent): Happening[] {
  return [world(begin, { kind: 'Write', count: 2, size: 100 }), { kind: 'Calm', rounds: 2 }, world(end)];
}

function world(...events: WorldEvent[]): Happening {
  return { kind: 'World', events };
}
