import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unknown } from '../../../src/domain/fact.ts';
import type { MemberObservation, Observation } from '../../../src/domain/observation.ts';
import type { Diagnosis, PairMemory } from '../../../src/domain/situation.ts';
import { diagnosePair, NEW_PAIR, rememberPair } from '../../../src/domain/situation.ts';
import type { Link, ServerLook } from '../../../src/domain/observation.ts';
import { calmPair, down, memberAt, NOW, POLICY, position, state, WALL } from './pair-fixture.ts';

interface Seen {
  /** Ms after the first look. */
  readonly at: number;
  /** When the VIP was asked; by default right after the members. */
  readonly vipAt?: number;
  readonly holder?: 'a' | 'b' | 'silent';
  readonly a?: Partial<ServerLook>;
  readonly b?: Partial<ServerLook> | 'down';
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

function observe({ at, vipAt = at + 1, holder = 'a', a, b }: Seen): Observation {
  const calm = calmPair({ ...(a === undefined ? {} : { a }), ...(b === undefined || b === 'down' ? {} : { b }) });
  const members: MemberObservation[] = [
    memberAt('a', '10.0.0.11', calm.a, NOW + at),
    b === 'down' ? down('b', '10.0.0.12') : memberAt('b', '10.0.0.12', calm.b, NOW + at),
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
  return { now: NOW + at + 2, wallNow: WALL + at, vip, members, replicas: calm.observation.replicas };
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
    const steps = ['a', 'a', 'b', 'a', 'a'] as const;
    for (const [index, holder] of steps.entries()) history.see({ at: index * 500, holder, b });
    assert.equal(history.diagnosis?.situation, 'Stable', 'the loser may be about to be demoted');
    assert.equal(history.see({ at: 4_000, b }).situation, expected);
    assert.equal(history.see({ at: 40_000, b }).situation, 'Stable', 'nobody wrote: it ends by proof');
  }
});
