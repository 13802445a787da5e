import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Link } from '../../../src/domain/observation.ts';
import type { Plan } from '../../../src/domain/plan.ts';
import { planFill } from '../../../src/domain/plan.ts';
import { position, state } from '../domain/pair-fixture.ts';
import type { ActedOn } from './acted-on.ts';
import { carriedOut, replicaAt, TARGET } from './acted-on.ts';

const DONOR = { host: '10.1.0.2', port: 3306 } as const;
const AT = '0-1-100';
const UP_TO = '0-1-104';

function filling(): Plan {
  const proven = {
    kind: 'Proven',
    proof: 'Filled',
    gtid: position(AT),
    at: null,
    contains: state(AT),
    because: '',
  } as const;
  const parts = {
    pod: 'orders-0',
    from: 'b',
    target: TARGET,
    trigger: 'VipMoved',
    proven,
    received: state(AT),
  } as const;
  const donor = { kind: 'Sibling', pod: 'orders-1' } as const;
  return planFill(parts, { donor, dial: DONOR, startedAt: 0, upTo: position(UP_TO), from: position(AT) });
}

/** After START SLAVE UNTIL the replica shows this, the last one for good. */
function startsAs(...shown: readonly (Partial<Link> & { readonly gtid?: string })[]): ActedOn {
  const replica = replicaAt(AT, { io: 'No', sql: 'No', usingGtid: 'Slave_Pos', gtidIoPos: position(AT) });
  const left = [...shown];
  return new Proxy(replica, {
    get(target, name, receiver) {
      const started = target.statements.at(-1)?.startsWith('START') === true;
      // The first thing that a look reads.
      if (name === 'gtid' && started) {
        const { gtid, ...change } = (left.length > 1 ? left.shift() : left[0]) ?? {};
        target.gtid = gtid ?? target.gtid;
        target.link = { ...target.link, ...change };
      }
      return Reflect.get(target, name, receiver) as unknown;
    },
  });
}

describe('a fill', () => {
  test('points the link at the donor, by GTID, and starts it with an end', async () => {
    const replica = startsAs({ io: 'Yes', until: 'Gtid' });
    const { outcome, attachedAt, steps } = await carriedOut(filling(), replica);
    assert.deepEqual([outcome, attachedAt], ['Done', null]);
    assert.deepEqual(replica.statements, [
      'STOP SLAVE',
      'CHANGE MASTER',
      'SET GLOBAL slave_net_timeout',
      'SET GLOBAL read_only',
      'START SLAVE UNTIL master_gtid_pos',
    ]);
    const [change, start] = ['Change', 'Start'].map((name) => steps.find(({ step }) => step === name)?.detail);
    assert.equal(change, `CHANGE MASTER TO 10.1.0.2:3306 by GTID ${AT}`);
    assert.equal(start, `START SLAVE UNTIL master_gtid_pos = '${UP_TO}'`);
  });

  test('of a small gap has ended before anybody could look', async () => {
    const replica = startsAs({ io: 'Connecting' }, { io: 'No', sql: 'No', until: 'Gtid', gtid: UP_TO });
    const { outcome, steps } = await carriedOut(filling(), replica);
    assert.equal(outcome, 'Done');
    assert.match(steps.at(-1)?.detail ?? '', new RegExp(`applied ${UP_TO}, from 10.1.0.2:3306 until ${UP_TO}`));
  });

  test('that the donor refuses is a surprise', async () => {
    const replica = startsAs({ io: 'No', ioErrno: 1236, ioError: 'not in the binlog' });
    const { outcome, message } = await carriedOut(filling(), replica);
    assert.deepEqual([outcome, message.includes('1236 not in the binlog')], ['Stopped', true]);
  });

  test('that runs without its end is a surprise', async () => {
    const { outcome, message } = await carriedOut(filling(), startsAs({ io: 'Yes' }));
    assert.deepEqual([outcome, message.includes('without UNTIL')], ['Stopped', true]);
  });

  test('from a donor that the replica cannot reach is given up', async () => {
    const replica = startsAs({ io: 'Connecting', ioErrno: 2003, ioError: "can't connect" });
    const { outcome, message } = await carriedOut(filling(), replica);
    assert.deepEqual([outcome, message.includes('2003')], ['Stopped', true]);
  });
});
