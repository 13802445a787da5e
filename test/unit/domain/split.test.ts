import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { unknown } from '../../../src/domain/fact.ts';
import type { MemberObservation, Observation } from '../../../src/domain/observation.ts';
import type { PublisherLook } from '../../../src/domain/published.ts';
import type { Diagnosis, PairMemory } from '../../../src/domain/situation.ts';
import { diagnosePair, NEW_PAIR, rememberPair } from '../../../src/domain/situation.ts';
import type { Link, ServerLook } from '../../../src/domain/observation.ts';
import {
  calmPair,
  down,
  memberAt,
  NOW,
  POLICY,
  position,
  published,
  state,
  WALL,
  withPublisher,
} from './pair-fixture.ts';

interface Seen {
  /** Ms after the first look. */
  readonly at: number;
  /** When the VIP was asked; by default right after the members. */
  readonly vipAt?: number;
  readonly holder?: 'a' | 'b' | 'silent';
  readonly a?: Partial<ServerLook>;
  readonly b?: Partial<ServerLook> | 'down';
  /** What is different in what their publishers say; a member that is not named has none. */
  readonly claims?: { readonly a?: Partial<PublisherLook>; readonly b?: Partial<PublisherLook> };
}

/** The pair as a sequence of looks; the last diagnosis and what is remembered after it. */
class History {
  pair: PairMemory = NEW_PAIR;
  diagnosis: Diagnosis | null = null;
  readonly #policy: typeof POLICY;

  constructor(change: Partial<typeof POLICY> = {}) {
    this.#policy = { ...POLICY, ...change };
  }

  see(seen: Seen, approved: readonly string[] = []): Diagnosis {
    const { memory } = calmPair();
    const observation = observe(seen);
    const input = { observation, memory, pair: this.pair, policy: this.#policy, approved: new Set(approved) };
    this.diagnosis = diagnosePair(input);
    this.pair = rememberPair(this.pair, this.diagnosis, observation);
    return this.diagnosis;
  }
}

function observe({ at, vipAt = at + 1, holder = 'a', a, b, claims = {} }: Seen): Observation {
  const calm = calmPair({ ...(a === undefined ? {} : { a }), ...(b === undefined || b === 'down' ? {} : { b }) });
  const told = (member: MemberObservation, look: ServerLook, claim?: Partial<PublisherLook>) =>
    claim === undefined ? member : withPublisher(member, published(look, claim), NOW + at);
  const members: MemberObservation[] = [
    told(memberAt('a', '10.0.0.11', calm.a, NOW + at), calm.a, claims.a),
    told(b === 'down' ? down('b', '10.0.0.12') : memberAt('b', '10.0.0.12', calm.b, NOW + at), calm.b, claims.b),
  ];
  const answering = holder === 'b' ? calm.b : calm.a;
  const lockOwners = { a: holder === 'a' ? 7 : null, b: holder === 'b' ? 7 : null };
  const look = { identity: answering.identity, readOnly: answering.readOnly, lockOwners, look: null };
  const vip =
    holder === 'silent'
      ? { look: unknown('Deadline', 'no answer', NOW + at), failures: 2, silentSince: NOW + at, answersSince: null }
      : {
          look: { known: true, value: look, at: NOW + vipAt } as const,
          failures: 0,
          silentSince: null,
          answersSince: NOW,
        };
  return { now: NOW + Math.max(at, vipAt) + 2, wallNow: WALL + at, vip, members, replicas: calm.observation.replicas };
}

const ERRANT = { gtidBinlogState: state('0-1-100,0-2-103') };
const OPEN = { readOnly: false, links: [] };

function idIn({ message }: Diagnosis): string {
  return /approve=(\S+)/.exec(message)?.[1] ?? assert.fail(message);
}

function caught(policy: Partial<typeof POLICY> = {}): History {
  const history = new History(policy);
  history.see({ at: 0 });
  history.see({ at: 250 });
  assert.equal(history.see({ at: 500, b: ERRANT }).situation, 'Stable', 'the VIP is asked again first');
  for (const at of [700, 800]) history.see({ at, b: ERRANT });
  assert.equal(history.diagnosis?.situation, 'SplitBrain');
  return history;
}

test('own transactions of a member without the VIP are a split, remembered with what each side had', () => {
  const { pair, diagnosis } = caught();
  assert.match(diagnosis?.message ?? '', /b does not hold the VIP.*up to 0-2-103/);
  assert.deepEqual(
    [...(pair.split?.sides ?? [])],
    [
      ['a', state('0-1-100')],
      ['b', state('0-1-100')],
    ],
  );
});

test('a holder that logs what it applies takes the other side in: no split', () => {
  const history = new History();
  const applying = { links: [{ ...calmPair().b.links[0], sourceServerId: 2 }] } as Partial<ServerLook>;
  for (const at of [0, 250]) history.see({ at, a: applying });
  for (const at of [500, 600, 700]) history.see({ at, a: applying, b: ERRANT });
  assert.equal(history.diagnosis?.situation, 'Stable');
});

test('the link of the holder breaks after it has taken in what the other one wrote: no split, until that writes again', () => {
  const history = new History();
  const [running] = calmPair().b.links;
  assert.ok(running !== undefined);
  const linked = { ...running, sourceServerId: 2 };
  const took = { gtidBinlogState: state('0-1-100,0-2-103') };
  for (const at of [0, 250]) history.see({ at, a: { links: [linked] } });
  for (const at of [500, 750]) history.see({ at, a: { ...took, links: [linked] }, b: ERRANT });
  const broken = { ...took, links: [{ ...linked, io: 'No' }] } as const;
  const steps = [1_000, 1_250, 1_500, 1_750].map((at) => history.see({ at, a: broken, b: ERRANT }).situation);
  assert.deepEqual(new Set(steps), new Set(['Stable']));
  const again = { gtidBinlogState: state('0-1-100,0-2-104') };
  for (const at of [2_000, 2_250, 2_500]) history.see({ at, a: broken, b: again });
  assert.equal(history.diagnosis?.situation, 'SplitBrain');
});

/** Members and VIP are asked once per interval, the VIP this much of it later than the members. */
interface Rhythm {
  readonly intervalMs: number;
  readonly phase: number;
}

const RHYTHMS: readonly Rhythm[] = [250, 500, 1_000].flatMap((intervalMs) =>
  [0.01, 0.5, 0.99].map((phase) => ({ intervalMs, phase: phase * intervalMs })),
);

/** When the pair is said to be split that is calm until a moment after the look at 0; `world`: what is seen at that time. */
function splitAfter({ intervalMs, phase }: Rhythm, world: World): number {
  const history = new History();
  for (let at = -4 * intervalMs; at <= 20_000; at += intervalMs) {
    for (const vipAt of [at - intervalMs + phase, at + phase]) {
      const seen = { at, vipAt, holder: world.holder(vipAt, intervalMs), ...world.members(at) };
      if (history.see(seen).situation === 'SplitBrain') return Math.max(at, vipAt);
    }
  }
  return Number.POSITIVE_INFINITY;
}

interface World {
  readonly holder: (at: number, intervalMs: number) => 'a' | 'b';
  readonly members: (at: number) => Pick<Seen, 'a' | 'b'>;
}

function assertBounds(world: World): void {
  for (const rhythm of RHYTHMS) {
    const tookMs = splitAfter(rhythm, world);
    const boundMs = 2 * rhythm.intervalMs + 1_000 + 1_000;
    assert.ok(tookMs > 0 && tookMs <= boundMs, `${JSON.stringify(rhythm)}: ${tookMs} ms, bound ${boundMs} ms`);
  }
}

test('writes without the VIP are a split within the detection bound, at every probe interval', () => {
  assertBounds({ holder: () => 'a', members: (at) => (at <= 0 ? {} : { b: { ...OPEN, ...ERRANT } }) });
});

test('writes that a half-open link does not bring are a split within the detection bound, at every probe interval', () => {
  const [running] = calmPair().b.links;
  assert.ok(running !== undefined);
  const a = { links: [{ ...running, sourceServerId: 2, ioState: WAITS, read: place(700) }] };
  const wrote = { ...ERRANT, end: place(900), readOnly: false };
  assertBounds({ holder: () => 'a', members: (at) => (at <= 0 ? { a } : { a, b: wrote }) });
});

test('two writable members that claim the VIP in turn are a split within the detection bound, at every probe interval', () => {
  const inTurn = (at: number, intervalMs: number) => (at > 0 && Math.ceil(at / intervalMs) % 2 === 1 ? 'b' : 'a');
  assertBounds({ holder: inTurn, members: () => ({ b: OPEN }) });
});

/** The holder's link to b as it is `ms` after b has begun to write one transaction each 250 ms; b: what it has logged then. */
type LinkAt = (ms: number) => Partial<Link>;

function writesOn(history: History, link: LinkAt, untilMs: number): readonly number[] {
  const [running] = calmPair().b.links;
  assert.ok(running !== undefined);
  const at = (ms: number) => ({ links: [{ ...running, sourceServerId: 2, ioState: WAITS, ...link(ms) }] });
  for (const ms of [0, 250]) history.see({ at: ms, a: at(0) });
  const split: number[] = [];
  for (let ms = 250; ms <= untilMs; ms += 250) {
    const b = { gtidBinlogState: state(`0-1-100,0-2-${100 + ms / 250}`), end: place(700 + ms) };
    if (history.see({ at: 250 + ms, a: at(ms), b }).situation === 'SplitBrain') split.push(ms);
  }
  return split;
}

const WAITS = 'Waiting for master to send event';
const BOUND_MS = 2 * 250 + 1_000 + 1_000;

function place(position: number) {
  return { file: 'b-bin.000005', position };
}

test('a half-open link takes nothing in, whatever its threads say: a split within the detection bound', () => {
  const [first] = writesOn(new History(), () => ({ read: place(700) }), 5_000);
  assert.ok(first !== undefined && first > 1_000 && first <= BOUND_MS, `${first} ms`);
});

test('a link that brings something takes in what is written, however late it is, and so does one that waits for its own disk', () => {
  const late: LinkAt = (ms) => ({ read: place(700 + ms / 10) });
  const byGtid: LinkAt = (ms) => ({ read: place(700), gtidIoPos: position(`0-2-${100 + Math.floor(ms / 1_000)}`) });
  const full: LinkAt = () => ({ read: place(700), ioState: 'Queueing master event to the relay log' });
  const filtered: LinkAt = (ms) => ({ read: place(700 + ms) });
  for (const link of [late, byGtid, full, filtered]) assert.deepEqual(writesOn(new History(), link, 10_000), []);
});

test('what a member wrote while it held the VIP is its right: a move is no split', () => {
  const history = new History();
  const wrote = { gtidBinlogState: state('0-1-150') };
  for (const at of [0, 250]) history.see({ at });
  history.see({ at: 500, a: wrote });
  const steps = [750, 1_000, 1_250].map((at) => history.see({ at, holder: 'b', a: wrote, b: OPEN }).situation);
  assert.ok(!steps.includes('SplitBrain'), steps.join());
  const late = { gtidBinlogState: state('0-1-151') };
  for (const at of [1_500, 1_600, 1_700]) history.see({ at, holder: 'b', a: late, b: OPEN });
  assert.equal(history.diagnosis?.situation, 'SplitBrain');
});

test('a takeover that the VIP look has not seen yet is no split: the old look at the VIP does not count', () => {
  const history = new History();
  for (const at of [0, 250]) history.see({ at });
  const promoted = { ...OPEN, ...ERRANT };
  for (const at of [500, 600, 700]) history.see({ at, vipAt: 260, b: promoted });
  assert.equal(history.diagnosis?.situation, 'Stable');
  assert.equal(history.see({ at: 1_300, holder: 'silent', b: promoted }).situation, 'VipSilent');
  assert.equal(history.see({ at: 1_400, holder: 'b', b: promoted }).situation, 'VipMoved');
});

test('dirty data waits for the approval of exactly what was shown', () => {
  const history = caught();
  assert.match(history.see({ at: 5_000, b: ERRANT }).message, /waiting until a has held the VIP alone/);
  const asked = history.see({ at: 20_000, b: ERRANT });
  assert.equal(asked.situation, 'SplitBrain');
  assert.match(asked.message, /b wrote up to 0-2-103, which a lacks/);
  assert.notEqual(asked.split?.endedAt, null);
  assert.equal(history.see({ at: 21_000, b: ERRANT }, ['split-x']).situation, 'SplitBrain');
  const later = history.see({ at: 22_000, b: { gtidBinlogState: state('0-1-100,0-2-104') } }, [idIn(asked)]);
  assert.equal(later.situation, 'SplitBrain', 'it wrote again: nobody has approved that');
  for (const at of [22_100, 22_200]) history.see({ at, b: { gtidBinlogState: state('0-1-100,0-2-104') } });
  const again = history.see({ at: 40_000, b: { gtidBinlogState: state('0-1-100,0-2-104') } }, [idIn(asked)]);
  assert.notEqual(idIn(again), idIn(asked));
  const after = history.see({ at: 41_000, b: { gtidBinlogState: state('0-1-100,0-2-104') } }, [idIn(again)]);
  assert.equal(after.situation, 'Stable');
  assert.equal(history.pair.split, null);
  assert.equal(history.see({ at: 42_000, b: { gtidBinlogState: state('0-1-100,0-2-104') } }).situation, 'Stable');
});

test('the id that is asked for stands while the holder writes on', () => {
  const history = caught();
  const asked = history.see({ at: 20_000, a: { gtidBinlogState: state('0-1-150') }, b: ERRANT });
  assert.match(asked.message, /a itself wrote up to 0-1-150/);
  const later = history.see({ at: 20_300, a: { gtidBinlogState: state('0-1-160') }, b: ERRANT });
  assert.match(later.message, /a itself wrote up to 0-1-160/);
  assert.equal(idIn(later), idIn(asked));
  const after = history.see({ at: 20_600, a: { gtidBinlogState: state('0-1-170') }, b: ERRANT }, [idIn(asked)]);
  assert.equal(after.situation, 'Stable');
});

test('policy.onSplitBrain Resume waits for nobody', () => {
  assert.equal(caught({ onSplitBrain: 'Resume' }).see({ at: 20_000, b: ERRANT }).situation, 'Stable');
});

test('what the holder has taken in meanwhile is no dirty data', () => {
  const merged = { gtidBinlogState: state('0-1-100,0-2-103') };
  assert.equal(caught().see({ at: 20_000, a: merged, b: ERRANT }).situation, 'Stable');
});

test('a side that does not answer may have written: only a person ends the split', () => {
  const history = caught();
  const asked = history.see({ at: 20_000, b: 'down' });
  assert.match(asked.message, /b does not answer, so nobody knows what it wrote/);
  assert.equal(history.see({ at: 20_500, b: 'down' }, [idIn(asked)]).situation, 'Stable');
});

test('a silent VIP does not end a split', () => {
  const history = caught();
  assert.equal(history.see({ at: 1_000, holder: 'silent', b: ERRANT }).situation, 'VipSilent');
  assert.equal(history.see({ at: 20_000, b: ERRANT }).situation, 'SplitBrain');
});

test('two demoted hosts that both answer for the address are a split: no VRRP moves as fast as looks alternate', () => {
  const history = new History();
  const demoted = { readOnly: true };
  const steps = ['a', 'b', 'a', 'b', 'b'] as const;
  for (const [index, holder] of steps.entries()) history.see({ at: index * 250, holder, a: demoted });
  assert.equal(history.diagnosis?.situation, 'SplitBrain');
});

test('an address that goes to and fro is a split while both sides are writable, an ordinary flap otherwise', () => {
  for (const [b, expected] of [
    [OPEN, 'SplitBrain'],
    [{}, 'Stable'],
  ] as const) {
    const history = new History();
    const steps = ['a', 'a', 'b', 'a', 'b', 'a'] as const;
    for (const [index, holder] of steps.entries()) history.see({ at: index * 1_200, holder, b });
    assert.equal(history.diagnosis?.situation, 'Stable', 'the loser may be about to be demoted');
    assert.equal(history.see({ at: 8_100, b }).situation, expected);
    assert.equal(history.see({ at: 40_000, b }).situation, 'Stable', 'nobody wrote: it ends by proof');
  }
});

test('an address that goes and comes back once is no split, though nobody is ever read-only', () => {
  for (const step of [250, 500, 1_000, 2_000]) {
    const history = new History();
    const steps = ['a', 'a', 'b', 'b', 'a', ...Array.from({ length: 60 }, () => 'a' as const)] as const;
    const seen = steps.map((holder, index) => history.see({ at: index * step, holder, b: OPEN }).situation);
    assert.ok(!seen.includes('SplitBrain'), `${step}: ${seen.join()}`);
  }
});

describe('both hosts have the VIP on an interface, and fresh connections all end on one', () => {
  const BOTH = { a: { vipHeldSince: NOW - 60_000 }, b: { vipHeld: true, vipHeldSince: NOW + 300 } };

  /** When it was first called a split, in ms after b took the address as well; undefined: never. */
  function firstSplit(change: Partial<Seen>, probeMs = 250): number | undefined {
    const history = new History();
    for (let at = 0; at <= 10_000; at += probeMs) {
      const claims = at < 300 ? { a: BOTH.a, b: { vipHeld: false, vipHeldSince: NOW - 60_000 } } : BOTH;
      const { situation, message } = history.see({ at, b: OPEN, claims, ...change });
      if (situation !== 'SplitBrain') continue;
      assert.match(message, /publishers of a and b each say that their own host has the VIP/);
      return at - 300;
    }
    return undefined;
  }

  test('is a split within the detection bound, when both are writable', () => {
    for (const probeMs of [250, 500, 1_000]) {
      const ms = firstSplit({}, probeMs);
      const boundMs = 2 * probeMs + 1_000 + 1_000;
      assert.ok(ms !== undefined && ms >= 1_000 && ms <= boundMs, `${probeMs}: ${ms} ms`);
    }
  });

  test('is none where one of them is read-only, or one of the publishers says otherwise or speaks of another server', () => {
    const of = (change: Partial<PublisherLook>) => ({ claims: { ...BOTH, b: { ...BOTH.b, ...change } } });
    assert.equal(firstSplit({ b: {} }), undefined);
    assert.equal(firstSplit(of({ vipHeld: false })), undefined);
    assert.equal(firstSplit(of({ vipHeld: null })), undefined);
    assert.equal(firstSplit(of({ databaseAnswers: false })), undefined);
    assert.equal(firstSplit(of({ identity: null })), undefined);
    assert.equal(firstSplit(of({ member: 'a' })), undefined);
    const other = published(calmPair().a).identity;
    assert.equal(firstSplit(of({ identity: other })), undefined);
    assert.equal(firstSplit({ claims: { ...BOTH, a: { vipHeld: false } } }), undefined);
    assert.equal(firstSplit({ claims: { b: BOTH.b } }), undefined, 'one alone is not believed');
    assert.equal(firstSplit({ b: 'down' }), undefined);
  });

  test('for less than a second is a move', () => {
    const history = new History();
    for (let at = 0; at <= 900; at += 100)
      history.see({ at, b: OPEN, claims: { a: BOTH.a, b: { vipHeld: true, vipHeldSince: NOW } } });
    const moved = { a: { vipHeld: false, vipHeldSince: NOW + 900 }, b: { vipHeld: true, vipHeldSince: NOW } };
    const steps = [1_000, 1_250, 3_000].map((at) => history.see({ at, b: OPEN, holder: 'b', claims: moved }).situation);
    assert.ok(!steps.includes('SplitBrain'), steps.join());
  });

  test('ends by proof when one of them lets go and the other wrote nothing', () => {
    const history = new History();
    for (const at of [0, 1_000, 2_000]) history.see({ at, b: OPEN, claims: BOTH });
    assert.equal(history.diagnosis?.situation, 'SplitBrain');
    const alone = { a: BOTH.a, b: { vipHeld: false, vipHeldSince: NOW + 2_500 } };
    assert.match(history.see({ at: 3_000, b: OPEN, claims: alone }).message, /waiting until a has held the VIP alone/);
    assert.equal(history.see({ at: 20_000, b: OPEN, claims: alone }).situation, 'Stable');
  });
});
