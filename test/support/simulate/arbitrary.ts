import fc from 'fast-check';
import type { WorldEvent } from './events.ts';
import type { Happening, History } from './history.ts';
import type { PairOptions } from './world.ts';

const member = fc.nat(1);
const server = fc.nat(4);
const few = fc.integer({ min: 1, max: 3 });

export const anyEvent: fc.Arbitrary<WorldEvent> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('Write'), count: few, size: fc.constantFrom(100, 100, 250) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('Flow'), count: few }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('FlowOne'), server, receive: fc.nat(3), apply: fc.nat(3) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('WriteOn'), member, count: few }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('Hold'), server, held: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('Hide'), server, hidden: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('Rotate'), member }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('Purge'), member, count: few }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('ReadOnly'), member, readOnly: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('VipTo'), members: fc.constantFrom([0], [1], [0], [1], [], [0, 1]) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('Promote'), member, drain: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('Demote'), member }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('Unlink'), member }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('Stop'), member }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('Start'),
      member,
      clean: fc.constant(false),
      lostTail: fc.constantFrom(0, 0, 1, 2),
      engineToo: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('RestartReplica'), server }) },
);

const passing: fc.Arbitrary<Happening> = fc.record({
  kind: fc.constant('Pass'),
  order: fc.array(fc.nat(5), { minLength: 2, maxLength: 8 }),
  ms: fc.constantFrom(5, 50, 300),
});
const fullPass: fc.Arbitrary<Happening> = fc.record({
  kind: fc.constant('Calm'),
  rounds: fc.integer({ min: 1, max: 3 }),
});

/** mxr is away for a moment or for long; often the VIP goes and comes back meanwhile. */
const away: fc.Arbitrary<Happening> = fc.record({
  kind: fc.constant('Away'),
  events: fc.oneof(
    fc.array(anyEvent, { minLength: 1, maxLength: 5 }),
    fc
      .tuple(member, few, fc.boolean())
      .map(([there, count, follows]): WorldEvent[] => [
        { kind: 'Demote', member: 1 - there },
        { kind: 'VipTo', members: [there] },
        { kind: 'Promote', member: there, drain: true },
        { kind: 'Write', count, size: 100 },
        ...(follows ? [{ kind: 'Demote', member: 1 - there } as const] : []),
        { kind: 'Demote', member: there },
        { kind: 'VipTo', members: [1 - there] },
        { kind: 'Promote', member: 1 - there, drain: true },
        { kind: 'Write', count, size: 100 },
      ]),
  ),
  ms: fc.constantFrom(1_000, 60_000),
});

export const anyHappening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('World'), events: fc.array(anyEvent, { minLength: 1, maxLength: 4 }) }),
  },
  { weight: 6, arbitrary: passing },
  { weight: 3, arbitrary: fullPass },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('NewProcess') }) },
  { weight: 1, arbitrary: away },
);

/** A move as keepalived and its scripts do it, in steps between which mxr looks. */
export function moveTo(index: number, how: 'planned' | 'crash', standby: boolean): Happening[] {
  const old = 1 - index;
  const steps: (readonly WorldEvent[])[] =
    how === 'planned'
      ? [
          [
            { kind: 'ReadOnly', member: old, readOnly: true },
            { kind: 'Flow', count: 100 },
          ],
        ]
      : [
          [
            { kind: 'FlowOne', server: index, receive: 100, apply: 100 },
            { kind: 'Stop', member: old },
          ],
        ];
  const promoted: readonly WorldEvent[] = [{ kind: 'Promote', member: index, drain: true }];
  const back: readonly WorldEvent[] = [
    ...(how === 'crash' ? [{ kind: 'Start', member: old, clean: false, lostTail: 0, engineToo: false } as const] : []),
    ...(standby ? [{ kind: 'Demote', member: old } as const] : []),
  ];
  return [...steps, [{ kind: 'VipTo', members: [index] } as const], promoted, back].map((events) => ({
    kind: 'World',
    events,
  }));
}

export const anyPair: fc.Arbitrary<PairOptions> = fc.record({
  logSlaveUpdates: fc.constantFrom([true, true], [false, false], [true, true], [false, false], [true, false]),
  replicaLogSlaveUpdates: fc.boolean(),
  replicas: fc.integer({ min: 1, max: 3 }),
  memberMode: fc.constantFrom('Slave_Pos', 'Slave_Pos', 'No'),
  replicaMode: fc.constantFrom('Slave_Pos', 'Slave_Pos', 'No'),
  dial: fc.constantFrom('vip', 'member'),
  equalServerIds: fc.constant(false),
});

/** As it is, or with everybody up and one member in charge. */
const ending: fc.Arbitrary<Happening[]> = fc.option(member, { freq: 3 }).map((index) =>
  index === null
    ? []
    : [
        { kind: 'World', events: [0, 1].map((one) => ({ kind: 'Revive', member: one }) as const) },
        { kind: 'World', events: [{ kind: 'ReadOnly', member: 1 - index, readOnly: true }] },
        { kind: 'World', events: [{ kind: 'VipTo', members: [index] }] },
        { kind: 'World', events: [{ kind: 'Promote', member: index, drain: true }] },
      ],
);

export const anyHistory: fc.Arbitrary<History> = fc.record({
  options: anyPair,
  link: fc.constantFrom(
    { positioning: 'Auto', through: 'Auto' },
    { positioning: 'Auto', through: 'Auto' },
    { positioning: 'FilePosition', through: 'Auto' },
    { positioning: 'Auto', through: 'VIP' },
  ),
  happenings: fc
    .array(
      fc.oneof(
        { weight: 6, arbitrary: anyHappening.map((one) => [one]) },
        {
          weight: 1,
          arbitrary: fc
            .tuple(member, fc.constantFrom('planned', 'crash'), fc.boolean(), fc.array(passing, { maxLength: 3 }))
            .map(([index, how, standby, passes]) =>
              moveTo(index, how, standby).flatMap((step, at) => [step, ...passes.slice(at, at + 1)]),
            ),
        },
      ),
      { minLength: 2, maxLength: 14 },
    )
    .chain((parts) => ending.map((end): Happening[] => [{ kind: 'Calm', rounds: 8 }, ...parts.flat(), ...end])),
  interruptions: fc.array(
    fc.record({
      at: fc.integer({ min: 1, max: 30 }),
      event: fc.oneof(
        { weight: 4, arbitrary: anyEvent },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('Kill') }) },
      ),
    }),
    { maxLength: 3 },
  ),
});
