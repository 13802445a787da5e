import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Gtid } from '../../../src/domain/gtid.ts';
import {
  beyond,
  formatGtid,
  formatPosition,
  formatState,
  isWithin,
  mergeStates,
  parseGtid,
  parsePosition,
  parseState,
  samePosition,
  stateHas,
  stateOf,
  unknownDomains,
  withoutServer,
} from '../../../src/domain/gtid.ts';

const MAX_U64 = 18446744073709551615n;

const gtid: fc.Arbitrary<Gtid> = fc.record({
  domain: fc.nat(3),
  serverId: fc.integer({ min: 1, max: 3 }),
  seq: fc.oneof(fc.bigInt({ min: 1n, max: 8n }), fc.constant(MAX_U64)),
});
const gtids = fc.array(gtid, { maxLength: 8 });
const state = gtids.map(stateOf);

describe('text', () => {
  test('what is printed is read again', () => {
    fc.assert(fc.property(gtid, (one) => assert.deepEqual(parseGtid(formatGtid(one)), { ...one })));
    fc.assert(
      fc.property(state, (one) =>
        assert.equal(formatState(parseState(formatState(one)) ?? new Map()), formatState(one)),
      ),
    );
  });

  test('64-bit numbers are exact', () => {
    assert.equal(parseGtid('0-1-9007199254740993')?.seq, 9007199254740993n);
  });

  for (const text of [
    '',
    '0-1',
    '0-1-x',
    '0-1-18446744073709551616',
    '4294967296-1-1',
    '0-4294967296-1',
    '-0-1-1',
    '0-1-1-1',
  ]) {
    test(`"${text}" is no GTID`, () => assert.equal(parseGtid(text), undefined));
  }

  test('nothing that a server may print breaks the parser', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parsePosition(text);
        parseState(text);
      }),
    );
  });

  test('a position names a domain once, a state each server of it', () => {
    assert.equal(parsePosition('0-1-5,0-2-6'), undefined);
    assert.equal(formatState(parseState('0-2-6, 0-1-5,\n1-1-1') ?? new Map()), '0-1-5,0-2-6,1-1-1');
    assert.deepEqual(parsePosition(''), new Map());
  });

  test('positions are printed by domain, whatever order they were read in', () => {
    assert.equal(formatPosition(parsePosition('2-1-5,0-2-6') ?? new Map()), '0-2-6,2-1-5');
  });
});

describe('sets', () => {
  test('a server id is part of every comparison: a higher number of another server contains nothing', () => {
    assert.equal(
      stateHas(stateOf([{ domain: 0, serverId: 2, seq: 200n }]), { domain: 0, serverId: 1, seq: 1n }),
      false,
    );
  });

  test('within is a partial order, and merging is its least upper bound', () => {
    fc.assert(
      fc.property(state, state, state, (a, b, c) => {
        const both = mergeStates(a, b);
        assert.ok(isWithin(a, a) && isWithin(a, both) && isWithin(b, both));
        if (isWithin(a, b) && isWithin(b, a)) assert.equal(formatState(a), formatState(b));
        if (isWithin(a, b) && isWithin(b, c)) assert.ok(isWithin(a, c));
        if (isWithin(a, c) && isWithin(b, c)) assert.ok(isWithin(both, c));
      }),
    );
  });

  test('what goes beyond is exactly what is not within', () => {
    fc.assert(
      fc.property(state, state, (a, b) => {
        const more = beyond(a, b);
        assert.equal(more.length === 0, isWithin(a, b));
        assert.ok(more.every((one) => stateHas(a, one) && !stateHas(b, one)));
        assert.ok(isWithin(a, mergeStates(b, stateOf(more))));
      }),
    );
  });

  test('a pair named twice keeps its highest number', () => {
    fc.assert(
      fc.property(gtids, (list) => {
        const one = stateOf(list);
        assert.ok(list.every((each) => stateHas(one, each)));
      }),
    );
  });

  test('equal numbers of different servers are different positions', () => {
    const [a, b] = [parsePosition('0-1-10'), parsePosition('0-2-10')];
    assert.ok(a !== undefined && b !== undefined);
    assert.equal(samePosition(a, b), false);
    assert.equal(samePosition(a, new Map(a)), true);
  });

  test('own writes of a replica are nobody else’s history', () => {
    const all = parseState('0-1-5,0-11-7,3-11-1') ?? new Map();
    assert.equal(formatState(withoutServer(all, 11)), '0-1-5');
    assert.deepEqual(unknownDomains(all, withoutServer(all, 11)), [3]);
  });
});
