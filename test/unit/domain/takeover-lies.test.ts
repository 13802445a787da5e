import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { factsOf } from '../../../src/domain/context.ts';
import type { Answers, Question } from '../../../src/domain/evidence.ts';
import { questionKey } from '../../../src/domain/evidence.ts';
import type { Fact } from '../../../src/domain/fact.ts';
import { known } from '../../../src/domain/fact.ts';
import type { Gtid } from '../../../src/domain/gtid.ts';
import { formatGtid, stateOf } from '../../../src/domain/gtid.ts';
import { anchorOf, newLineage } from '../../../src/domain/lineage.ts';
import type { Anchor, MemberMemory } from '../../../src/domain/memory.ts';
import type { Coordinates, ServerLook } from '../../../src/domain/observation.ts';
import type { ProofInput, Proven } from '../../../src/domain/proof.ts';
import { prove } from '../../../src/domain/prove.ts';
import type { PublishedTakeover } from '../../../src/domain/published.ts';
import { lastOf } from '../../support/scenario/words.ts';
import { down, link, look, memberAt, NOW, POLICY, published, replicaAt, replicaMemory, WALL } from './pair-fixture.ts';
import { withPublisher } from './pair-fixture.ts';

/**
 * b took over from a, forgot it (RESET SLAVE ALL) and does not log what it applied. What really happened is drawn at
 * random, and so is what its publisher says of it. Whatever that is: a replica is only moved to where it really belongs.
 */
interface Truth {
  /** Transactions that b wrote when it held the VIP before; every replica has them. */
  readonly before: number;
  /** Whether one more of those was written in a domain of its own (`SET gtid_domain_id`). */
  readonly session: boolean;
  /** Of what a wrote since: what b applied, what it had received, and what the replica has. */
  readonly applied: number;
  readonly received: number;
  readonly replica: number;
  readonly byGtid: boolean;
  /** By file and position: b connected anew, so its gtid_slave_pos says what it had received. */
  readonly reconnected: boolean;
  /** How much b had applied when somebody wrote to it, although it was a standby; null: nobody did. */
  readonly errant: number | null;
  /** Transactions that b has written since it took over. */
  readonly wrote: number;
  /** Whether one more was written in a domain of its own then, before or after those. */
  readonly sessionSince: 'Before' | 'After' | null;
  readonly oldHolderAnswers: boolean;
  /** How much b had applied when mxr saw it as a standby last; null: it never did. */
  readonly remembered: number | null;
  readonly positioning: 'GTID' | 'FilePosition';
}

const OWN_DOMAIN = 5;
const A_FILE = 'a-bin.000003';
const B_FILE = 'b-bin.000005';
const [A_ID, B_ID, REPLICA_ID] = [1, 2, 11];

const few = fc.nat({ max: 3 });
const truths: fc.Arbitrary<Truth> = fc
  .record({
    before: few,
    session: fc.boolean(),
    applied: fc.integer({ min: 1, max: 4 }),
    unapplied: few,
    replica: fc.integer({ min: 1, max: 8 }),
    byGtid: fc.boolean(),
    reconnected: fc.boolean(),
    errant: fc.option(fc.nat({ max: 4 }), { freq: 2 }),
    wrote: few,
    sessionSince: fc.constantFrom(null, 'Before', 'After'),
    oldHolderAnswers: fc.boolean(),
    remembered: fc.option(fc.nat({ max: 4 })),
    positioning: fc.constantFrom('GTID', 'FilePosition'),
  })
  .map(({ unapplied, ...truth }) => ({
    ...truth,
    received: truth.applied + unapplied,
    replica: Math.min(truth.replica, truth.applied + unapplied),
    reconnected: truth.reconnected && !truth.byGtid,
    remembered: truth.remembered === null ? null : Math.min(truth.remembered, truth.applied),
    errant: truth.errant === null ? null : Math.min(truth.errant, truth.applied),
  }));

/** By file and position, what it shows as applied is more than its rows are, and so is the number that it counted on from. */
function showsMoreThanItsRows({ reconnected, received, applied }: Truth): boolean {
  return reconnected && received > applied;
}

/** Each `undefined` is the truth. */
interface Lie {
  readonly end: number | undefined;
  readonly logged: number | undefined;
  readonly slavePos: number | undefined;
  readonly applied: number | undefined;
  readonly appliedFile: string | undefined;
  readonly usingGtid: boolean | undefined;
  readonly drained: boolean | undefined;
  readonly sourceServerId: number | undefined;
}

const NOTHING: Lie = {
  end: undefined,
  logged: undefined,
  slavePos: undefined,
  applied: undefined,
  appliedFile: undefined,
  usingGtid: undefined,
  drained: undefined,
  sourceServerId: undefined,
};

const said = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const lies: fc.Arbitrary<Lie> = fc.record({
  end: said(fc.nat({ max: 9 })),
  logged: said(fc.nat({ max: 8 })),
  slavePos: said(fc.nat({ max: 8 })),
  applied: said(fc.nat({ max: 4 })),
  appliedFile: said(fc.constantFrom('', 'a-bin.000002', 'a-bin.000004', 'c-bin.000003')),
  usingGtid: said(fc.boolean()),
  drained: said(fc.boolean()),
  sourceServerId: said(fc.constantFrom(0, 1, 3)),
});

function gtid(serverId: number, seq: number, domain = 0): Gtid {
  return { domain, serverId, seq: BigInt(seq) };
}

interface Own {
  /** Every replica has these. */
  readonly before: readonly Gtid[];
  /** No replica has these; and those of them that were written while b was a standby. */
  readonly errant: readonly Gtid[];
  readonly since: readonly Gtid[];
}

/** What b has logged, oldest first: each transaction is 100 bytes long. */
function ownOf(truth: Truth): Own {
  const { before, session, wrote, errant, sessionSince } = truth;
  const numbers = Array.from({ length: before }, (_, index) => gtid(B_ID, index + 1));
  const wrong = errant === null ? [] : [gtid(B_ID, before + errant + 1)];
  const last = Math.max(before + shownBy(truth), ...wrong.map(({ seq }) => Number(seq)));
  const since = Array.from({ length: wrote }, (_, index) => gtid(B_ID, last + index + 1));
  const [first, second] = [gtid(B_ID, 1, OWN_DOMAIN), gtid(B_ID, 2, OWN_DOMAIN)];
  const inDomain = sessionSince === null ? [] : [session ? second : first];
  return {
    before: [...numbers, ...(session ? [first] : [])],
    errant: wrong,
    since: sessionSince === 'Before' ? [...inDomain, ...since] : [...since, ...inDomain],
  };
}

function logOf(own: Own): readonly Gtid[] {
  return [...own.before, ...own.errant, ...own.since];
}

/** How much b shows as applied. */
function shownBy({ reconnected, received, applied }: Truth): number {
  return reconnected ? received : applied;
}

function place(file: string, transactions: number): Coordinates {
  return { file, position: 300 + 100 * transactions };
}

function ofA({ before }: Truth, transactions: number): Gtid[] {
  return transactions === 0 ? [] : [gtid(A_ID, before + transactions)];
}

function serverB(truth: Truth, logged: readonly Gtid[], applied: number): ServerLook {
  const end = place(B_FILE, logged.length);
  const state = stateOf(logged);
  return look('b', B_ID, {
    readOnly: false,
    logSlaveUpdates: false,
    gtidBinlogState: state,
    gtidBinlogPos: lastOf(state),
    gtidSlavePos: new Map(ofA(truth, applied).map((one) => [one.domain, one])),
    end,
    files: [{ name: B_FILE, size: end.position }],
    links: [],
  });
}

/** b as it was when it had applied that much, and followed a. */
function standbyAt(truth: Truth, applied: number): Anchor {
  const { byGtid, received } = truth;
  const exec = place(A_FILE, applied);
  const follows = link({
    usingGtid: byGtid ? 'Slave_Pos' : 'No',
    sql: 'No',
    io: 'No',
    sqlState: '',
    exec,
    read: place(A_FILE, applied === truth.applied ? received : applied),
    gtidIoPos: new Map(ofA(truth, applied).map((one) => [one.domain, one])),
  });
  const isNow = applied === truth.applied;
  const { before, errant } = ownOf(truth);
  const logged = isNow ? [...before, ...errant] : before;
  const seen = { ...serverB(truth, logged, isNow ? shownBy(truth) : applied), links: [follows] };
  const anchor = anchorOf(seen, WALL - 2_000);
  assert.ok(anchor !== null);
  return anchor;
}

function recordOf(truth: Truth, lie: Lie): PublishedTakeover {
  const { standby, ...anchor } = standbyAt(truth, truth.applied);
  assert.ok(standby !== null);
  const logged = lie.logged === undefined ? null : stateOf(logOf(ownOf(truth)).slice(0, lie.logged));
  const slavePos = lie.slavePos === undefined ? anchor.slavePos : lastOf(stateOf(ofA(truth, lie.slavePos)));
  const applied = lie.applied === undefined ? standby.applied : place(A_FILE, lie.applied);
  return {
    ...anchor,
    end: lie.end === undefined ? anchor.end : place(B_FILE, lie.end),
    ...(logged === null ? {} : { binlogState: logged, binlogPos: lastOf(logged) }),
    slavePos,
    standby: {
      ...standby,
      applied: { ...applied, file: lie.appliedFile ?? applied.file },
      usingGtid: lie.usingGtid ?? standby.usingGtid,
      drained: lie.drained ?? standby.drained,
      sourceServerId: lie.sourceServerId ?? standby.sourceServerId,
    },
  };
}

function inputOf(truth: Truth, record: PublishedTakeover, evidence: ProofInput['evidence']): ProofInput {
  const own = ownOf(truth);
  const a = serverA(truth);
  const b = serverB(truth, logOf(own), shownBy(truth));
  const atA = truth.oldHolderAnswers ? memberAt('a', '10.0.0.11', a) : down('a', '10.0.0.11');
  const atB = withPublisher(memberAt('b', '10.0.0.12', b), published(b, { takeover: record }));
  const members = new Map<string, MemberMemory>([
    ['a', newLineage('a', a, WALL - 5_000)],
    ['b', rememberedB(truth, b)],
  ]);
  const observed = replicaAt('orders-0', '10.1.0.1', replicaLook(truth));
  const lineage = members.get('a')?.lineage ?? '';
  const contains = stateOf([...own.before, ...ofA(truth, truth.replica)]);
  const gtids = lastOf(contains);
  const { baseline: calm } = replicaMemory('orders-0');
  assert.ok(calm !== null);
  const baseline = { ...calm, lineage, contains: stateOf(own.before), gtid: gtids, coordinates: place(A_FILE, 0) };
  const memory = { members, replicas: new Map([['orders-0', replicaMemory('orders-0', { baseline })]]) };
  const vip = { look: known({ identity: b.identity, readOnly: false, lockOwners: {}, look: null }, NOW) };
  const observation = {
    now: NOW,
    wallNow: WALL,
    vip: { ...vip, failures: 0, silentSince: null, answersSince: NOW - 5_000 },
    members: [atA, atB],
    replicas: [observed],
  };
  const replica = factsOf({ memory, policy: POLICY, observation, evidence }, observed);
  const targetMemory = members.get('b');
  assert.ok(replica !== null && targetMemory !== undefined);
  return {
    replica,
    baseline,
    holder: { member: atB, knownBy: 'Lock', look: b, lookAt: NOW + 50, readOnly: false },
    target: b,
    hasOwnId: true,
    targetMemory,
    source: members.get('a'),
    sourceObserved: atA,
    stillReceiving: false,
    viaVip: false,
    strayed: false,
    positioning: truth.positioning,
    evidence,
    approved: new Set(),
  };
}

function serverA(truth: Truth): ServerLook {
  const logged = stateOf(ofA(truth, truth.received));
  const end = place(A_FILE, truth.received);
  const files = [{ name: A_FILE, size: end.position }];
  const own = { gtidBinlogState: logged, gtidBinlogPos: lastOf(logged), gtidSlavePos: new Map<number, Gtid>() };
  return look('a', A_ID, { ...own, logSlaveUpdates: false, end, files, links: [] });
}

function rememberedB(truth: Truth, b: ServerLook): MemberMemory {
  const { remembered } = truth;
  const last = remembered === null ? null : standbyAt({ ...truth, reconnected: false }, remembered);
  return { ...newLineage('b', b, WALL), lastStandby: last === null ? null : { ...last, at: WALL - 4_000 } };
}

function replicaLook(truth: Truth): ServerLook {
  const { before } = ownOf(truth);
  const logged = stateOf([...before, ...ofA(truth, truth.replica)]);
  const exec = place(A_FILE, truth.replica);
  const position = lastOf(logged);
  const stands = link({ io: 'No', exec, read: exec, gtidIoPos: position });
  const shown = { gtidBinlogState: logged, gtidBinlogPos: position, gtidSlavePos: position };
  return look('orders-0', REPLICA_ID, { ...shown, links: [stands] });
}

/** What the servers answer; undefined: they do not, as to a place in the middle of a transaction. */
function answer(truth: Truth, question: Question): Answers[Question['kind']] | undefined {
  const log = logOf(ownOf(truth));
  switch (question.kind) {
    case 'LiveLook':
      return true;
    case 'FileHeader':
      return { createdAt: WALL, byServerStart: false, encrypted: false, gtidList: new Map() };
    case 'GtidAt': {
      const index = indexOf(question.at);
      if (question.member === 'b') {
        const isThere = question.at.file === B_FILE && index <= log.length;
        return isThere ? lastOf(stateOf(log.slice(0, index))) : null;
      }
      if (!truth.oldHolderAnswers || question.at.file !== A_FILE) return null;
      return index > truth.received ? null : new Map(ofA(truth, index).map((one) => [one.domain, one]));
    }
    case 'Walk': {
      if (question.member !== 'b' || question.from.file !== B_FILE) return undefined;
      const from = indexOf(question.from);
      const found = log.slice(from, question.firstOnly ? from + 1 : log.length);
      const walked = found.map((one, index) => ({
        gtid: one,
        at: place(B_FILE, from + index),
        timestamp: WALL,
        bytes: 100,
        tables: null,
      }));
      return { transactions: walked, truncated: null };
    }
    case 'Rehearsal': {
      const shown = ofA(truth, shownBy(truth));
      // With nothing of that domain in its binlog MariaDB takes whoever comes.
      const isEmpty = log.every(({ domain }) => domain !== 0);
      const isAsShown = question.gtid.split(',').some((text) => shown.some((one) => formatGtid(one) === text));
      const accepted = isEmpty || isAsShown;
      if (!accepted) return { accepted: false, errno: 1236, text: 'not in the binlog' };
      const next = sentByGtid(truth)[0] ?? null;
      return { accepted: true, at: place(B_FILE, next === null ? log.length : log.indexOf(next)), next };
    }
    default:
      return undefined;
  }
}

function indexOf({ position }: Coordinates): number {
  return (position - 300) / 100;
}

/** Null: refused, or it waits. */
function proven(truth: Truth, record: PublishedTakeover): Proven | null {
  const evidence = new Map<string, Fact<Answers[Question['kind']]>>();
  for (let pass = 0; pass < 10; pass += 1) {
    const result = prove(inputOf(truth, record, evidence));
    if (result.kind === 'Proven') return result;
    if (result.kind !== 'Asking') return null;
    for (const question of result.questions) {
      const value = answer(truth, question);
      if (value !== undefined) evidence.set(questionKey(question), known(value, NOW));
    }
  }
  return null;
}

/** What b sends a replica that names its position: in each domain what has a higher number. */
function sentByGtid(truth: Truth): readonly Gtid[] {
  const own = ownOf(truth);
  const [in0, inOwn] = [truth.before + truth.replica, truth.session ? 1 : 0];
  return logOf(own).filter(({ domain, seq }) => seq > (domain === OWN_DOMAIN ? inOwn : in0));
}

/** What is wrong with the rows of the replica when it has gone on from there; null: nothing. */
function wrongWith(truth: Truth, { at }: Proven): string | null {
  if (truth.replica !== truth.applied) return `b has applied ${truth.applied} of a, the replica ${truth.replica}`;
  const own = ownOf(truth);
  const byGtid = truth.positioning === 'GTID' || at === null;
  const sent = byGtid ? sentByGtid(truth) : logOf(own).filter((_, index) => index >= indexOf(at));
  const [gets, wants] = [sent, [...own.errant, ...own.since]].map((gtids) => gtids.map(formatGtid).join(','));
  return gets === wants ? null : `it is sent ${gets}, and lacks ${wants}`;
}

const FULL = process.env['MXR_FULL'] === '1';
const NUM_RUNS = FULL ? 50_000 : 3_000;
const RUNS = { numRuns: NUM_RUNS, ...(FULL ? {} : { seed: 20260301 }) };

function check(among: fc.Arbitrary<Truth>, saying: fc.Arbitrary<Lie>): void {
  let moved = 0;
  fc.assert(
    fc.property(among, saying, (truth, lie) => {
      const result = proven(truth, recordOf(truth, lie));
      if (result === null) return;
      moved += 1;
      assert.equal(wrongWith(truth, result), null, result.because);
    }),
    RUNS,
  );
  assert.ok(moved > NUM_RUNS / 200, `only ${moved} were moved`);
}

test('whatever a publisher says of a standby that shows what its rows are, a replica is only moved to where it belongs', () => {
  check(
    truths.filter((truth) => !showsMoreThanItsRows(truth)),
    lies,
  );
});

const FIELDS = [
  'end',
  'logged',
  'slavePos',
  'applied',
  'appliedFile',
  'drained',
  'usingGtid',
  'sourceServerId',
] as const;

test('where the rows are behind what a standby by file and position shows, none is moved by one thing that is not so', () => {
  const [behind, one] = [truths.filter(showsMoreThanItsRows), fc.constantFrom(...FIELDS)];
  fc.assert(
    fc.property(behind, lies, one, (truth, lie, field) => {
      const result = proven(truth, recordOf(truth, { ...NOTHING, [field]: lie[field] }));
      if (result !== null) assert.equal(wrongWith(truth, result), null, result.because);
    }),
    RUNS,
  );
});
