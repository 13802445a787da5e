import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { gtidsOf, stateOf } from '../../../src/domain/gtid.ts';
import type { Gtid } from '../../../src/domain/gtid.ts';
import type { Anchor, MemberMemory, Memory, ReplicaMemory } from '../../../src/domain/memory.ts';
import type { Coordinates } from '../../../src/domain/observation.ts';
import { memoryFromStatus } from '../../../src/operator/memory.ts';
import { statusOf } from '../../../src/operator/status.ts';
import { calmInput, stored } from './status-fixture.ts';

const wall = fc.integer({ min: Date.parse('2020-01-01'), max: Date.parse('2040-01-01') });
const serverId = fc.integer({ min: 0, max: 4_294_967_295 });
const gtid: fc.Arbitrary<Gtid> = fc.record({
  domain: fc.integer({ min: 0, max: 4_294_967_295 }),
  serverId,
  seq: fc.bigInt({ min: 0n, max: 18_446_744_073_709_551_615n }),
});
const position = fc.array(gtid, { maxLength: 4 }).map((gtids) => new Map(gtids.map((one) => [one.domain, one])));
const state = fc.array(gtid, { maxLength: 6 }).map((gtids) => stateOf(gtids));
const file = fc.integer({ min: 1, max: 999_999 }).map((number) => `bin.${String(number).padStart(6, '0')}`);
const coordinates: fc.Arbitrary<Coordinates> = fc.record({ file, position: fc.integer({ min: 4, max: 2 ** 52 }) });
const text = fc.string({ maxLength: 20 });

const standbyFacts = fc.record({
  sourceHost: text,
  sourceServerId: serverId,
  applied: coordinates,
  usingGtid: fc.boolean(),
  drained: fc.boolean(),
});
const anchor: fc.Arbitrary<Anchor> = fc
  .record({
    at: wall,
    end: coordinates,
    binlogState: state,
    binlogPos: position,
    slavePos: position,
    standby: fc.option(standbyFacts),
  })
  .map((parts) => ({ ...parts, since: parts.at }));
const identity = fc.record({
  hostname: text,
  serverId,
  serverUid: text,
  port: fc.integer({ min: 1, max: 65_535 }),
  datadir: text,
  startedAt: wall,
});

function memberMemory(name: string): fc.Arbitrary<MemberMemory> {
  const parts = fc.record({
    name: fc.constant(name),
    lineage: fc.string({ minLength: 1, maxLength: 40 }),
    identity,
    inQuestion: fc.boolean(),
    broken: fc.option(
      fc.record(
        { reason: fc.constantFrom('LostTail', 'LineageChanged'), message: text, survived: state },
        { requiredKeys: ['reason', 'message'] },
      ),
    ),
    restart: fc.option(fc.record({ file, survived: state, later: fc.array(state, { maxLength: 2 }) })),
    unwatched: fc.option(fc.record({ own: state, at: wall })),
    watched: fc.constant(false),
    unread: fc.option(fc.record({ before: anchor.map((one) => ({ ...one, standby: null })), through: coordinates })),
    storage: fc.option(fc.record({ tenure: fc.nat(), from: fc.option(text) })),
    besideAt: fc.option(wall),
    mixed: fc.option(
      fc.record({
        from: coordinates,
        before: state,
        through: coordinates,
        until: coordinates,
        first: fc.boolean(),
        order: fc.boolean(),
      }),
    ),
    errant: fc.array(
      fc
        .record({ domain: serverId, serverId, first: fc.bigInt(1n, 99n), more: fc.bigInt(0n, 9n) })
        .map(({ more, ...run }) => ({ ...run, last: run.first + more })),
      { maxLength: 3 },
    ),
    tookIn: fc.option(fc.record({ between: fc.array(gtid, { maxLength: 2 }), at: wall })),
    logBinBasename: text,
    files: fc.uniqueArray(fc.record({ name: file, size: fc.nat(), createdAt: fc.option(wall) }), {
      selector: ({ name: of }) => of,
      maxLength: 8,
    }),
    older: anchor,
  });
  return fc.tuple(parts, fc.array(anchor, { maxLength: 3 })).map(([{ older, ...rest }, anchors]) => {
    const standby = anchors.findLast((one) => one.standby !== null);
    const before = older.standby === null ? null : { ...older, at: 0 };
    const lastStandby = standby ?? before;
    // Two looks at one time are one look.
    const unread = rest.unread?.before.at === lastStandby?.at ? null : rest.unread;
    return { ...rest, unread, anchors, lastStandby };
  });
}

const replicaMemory: fc.Arbitrary<Omit<ReplicaMemory, 'pod'>> = fc.record({
  baseline: fc.option(
    fc.record({
      by: fc.constantFrom('Adopted', 'Handover', 'Reseeded'),
      member: text,
      lineage: text,
      coordinates: fc.option(coordinates),
      gtid: position,
      contains: state,
      at: wall,
    }),
  ),
  startedAt: fc.option(wall),
  captured: fc.option(
    fc.record({ at: wall, exec: coordinates, read: coordinates, gtid: position, gtidIoPos: position }),
  ),
  unsafeSince: fc.option(wall),
  haltedSince: fc.option(wall),
  adoptionRefused: fc.constant(null),
  through: fc.option(fc.constantFrom('Member', 'VIP')),
  standing: fc.constant(null),
  link: fc.constant(null),
  foreignChanges: fc.array(wall, { maxLength: 4 }),
  lacks: fc.array(gtid, { maxLength: 3 }),
  clearedFor: fc.option(file),
  refusal: fc.constant(null),
  fed: fc.constant(null),
  connectedTo: fc.constant(null),
  knownSince: fc.option(wall),
  followed: fc.option(fc.record({ lineage: text, contains: state })),
  ownBinlog: fc.option(fc.record({ basename: text, state })),
  forgotten: fc.constant(null),
});

const memory: fc.Arbitrary<Memory> = fc
  .tuple(memberMemory('a'), memberMemory('b'), replicaMemory)
  .map(([a, b, replica]) => ({
    members: new Map([
      ['a', a],
      ['b', b],
    ]),
    replicas: new Map([['orders-0', { pod: 'orders-0', ...replica }]]),
  }));

/** What lasts: of the anchors only the newest, or the last one up to which all was read. */
function lasting(value: Memory): unknown {
  const members = [...value.members.values()].map((member) => ({
    ...member,
    anchors: (member.unread === null ? member.anchors.slice(-1) : [member.unread.before]).map(plainAnchor),
    unread: null,
    restart: member.restart && { ...member.restart, survived: sorted(gtidsOf(member.restart.survived)) },
    lastStandby: member.lastStandby === null ? null : plainAnchor(member.lastStandby),
  }));
  const replicas = [...value.replicas.values()].map(({ baseline, captured, ...rest }) => ({
    ...rest,
    baseline: baseline && {
      ...baseline,
      gtid: sorted(baseline.gtid.values()),
      contains: sorted(gtidsOf(baseline.contains)),
    },
    captured: captured && {
      ...captured,
      gtid: sorted(captured.gtid.values()),
      gtidIoPos: sorted(captured.gtidIoPos.values()),
    },
  }));
  // Generated objects have no prototype, read ones do: a copy makes them alike.
  return structuredClone({ members, replicas });
}

/** Since when it was so is known only to the process that saw it. */
function plainAnchor(value: Anchor): unknown {
  const { binlogState, binlogPos, slavePos, since: _, ...rest } = value;
  const positions = [binlogPos, slavePos].map((one) => sorted(one.values()));
  return { ...rest, binlogState: sorted(gtidsOf(binlogState)), positions };
}

function sorted(gtids: Iterable<Gtid>): string[] {
  return [...gtids].map(({ domain, serverId: id, seq }) => `${domain}-${id}-${seq}`).toSorted();
}

describe('memory through the status', () => {
  test('everything that must last comes back as it was', () => {
    fc.assert(
      fc.property(memory, (value) => {
        const input = calmInput();
        const status = stored(statusOf({ ...input, picture: { ...input.picture, memory: value } }));
        assert.deepEqual(lasting(memoryFromStatus(status)), lasting(value));
      }),
      { numRuns: 300 },
    );
  });

  test('survives members and replicas that do not answer', () => {
    fc.assert(
      fc.property(memory, (value) => {
        const input = calmInput();
        const picture = { ...input.picture, memory: value };
        const before = stored(statusOf({ ...input, picture }));
        const lost = { known: false, code: 'Deadline', why: 'no answer', at: 0 } as const;
        const { observation } = input;
        const silent = {
          ...observation,
          members: observation.members.map((member) => ({ ...member, look: lost })),
          replicas: observation.replicas.map((replica) => ({ ...replica, look: lost })),
        };
        const status = stored(statusOf({ ...input, picture, before, observation: silent }));
        assert.deepEqual(lasting(memoryFromStatus(status)), lasting(value));
      }),
      { numRuns: 50 },
    );
  });

  test('a pass that is not complete forgets nothing', () => {
    const input = calmInput();
    const before = stored(statusOf(input));
    const diagnosis = { ...input.picture.diagnosis, complete: false };
    const empty = { members: new Map(), replicas: new Map() };
    const picture = { ...input.picture, diagnosis, memory: empty, decisions: [] };
    const status = stored(statusOf({ ...input, before, picture }));
    assert.deepEqual(lasting(memoryFromStatus(status)), lasting(memoryFromStatus(before)));
    assert.equal(status.following, '1/1');
  });
});

describe('a status that cannot be read', () => {
  test('is forgotten part by part, whatever stands in it, and never throws', () => {
    const input = calmInput();
    const whole: unknown = JSON.parse(JSON.stringify(statusOf(input)));
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat(9)), fc.string(), (dice, junk) => {
        const spoiled = spoil(whole, () => dice.next().value === 0, junk);
        const back = memoryFromStatus(spoiled as Parameters<typeof memoryFromStatus>[0]);
        for (const replica of back.replicas.values()) {
          assert.ok(replica.baseline === null || Number.isFinite(replica.baseline.at));
        }
      }),
      { numRuns: 300 },
    );
  });

  const broken = [
    ['gtid', 'not a gtid'],
    ['contains', '0-1'],
    ['at', 'yesterday'],
  ] as const;
  for (const [field, value] of broken) {
    test(`a baseline whose ${field} is broken is none: the replica is a first sight`, () => {
      const status = stored(statusOf(calmInput()));
      const [replica] = status.replicas;
      assert.ok(replica?.baseline);
      const baseline = { ...replica.baseline, [field]: value };
      const memoryOf = memoryFromStatus({ ...status, replicas: [{ ...replica, baseline }] });
      assert.equal(memoryOf.replicas.get('orders-0')?.baseline, null);
    });
  }

  test('a restart whose survivors are broken puts the lineage in question: it was not as if it had never been', () => {
    const status = stored(statusOf(calmInput()));
    const members = status.source.members.map((one) => ({ ...one, restart: { file: 'bin.000004', survived: '?' } }));
    const back = memoryFromStatus({ ...status, source: { ...status.source, members } });
    assert.deepEqual([back.members.get('a')?.restart, back.members.get('a')?.inQuestion], [null, true]);
  });

  test('a member without a lineage is unknown, one with a broken anchor keeps its lineage', () => {
    const status = stored(statusOf(calmInput()));
    const [a, b] = status.source.members;
    assert.ok(a && b);
    const members = [
      { ...a, lineage: undefined },
      { ...b, binlogState: 'x' },
    ];
    const back = memoryFromStatus({ ...status, source: { ...status.source, members } });
    assert.deepEqual([...back.members.keys()], ['b']);
    assert.deepEqual(back.members.get('b')?.anchors, []);
    assert.equal(back.members.get('b')?.lineage, b.lineage);
  });
});

/** Replaces some of the texts by junk; numbers and the shape stay, as the schema has checked them. */
function spoil(value: unknown, hit: () => boolean, junk: string): unknown {
  if (typeof value === 'string') return hit() ? junk : value;
  if (Array.isArray(value)) return value.map((one) => spoil(one, hit, junk));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, spoil(one, hit, junk)]));
}
