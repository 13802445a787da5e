import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Evidence } from '../../chaos/evidence.ts';
import type { Configuration } from '../../chaos/configuration.ts';
import { newPast } from '../../chaos/field.ts';
import type { Past } from '../../chaos/field.ts';
import { beyond, numbersOf } from '../../chaos/gtid.ts';
import { canFollow, isLegal } from '../../chaos/legal.ts';
import { drawPlan } from '../../chaos/plan.ts';
import type { Plan } from '../../chaos/plan.ts';
import type { Said } from '../../chaos/rest.ts';
import { isRestless, remember } from '../../chaos/rest.ts';
import type { Told } from '../../chaos/truth.ts';
import { untruthOf } from '../../chaos/truth.ts';

const EVIDENCE: Evidence = {
  more: [],
  lacks: [],
  lacksForEver: [],
  peerWrites: [],
  donors: [],
  gtidsAhead: [],
  unknownOrigins: [],
  hotAhead: 0,
  hotBehind: 0,
  io: 'No',
  sql: 'Yes',
  sqlErrno: '0',
  usingGtid: 'Slave_Pos',
  holderLogsUpdates: true,
  holderByFile: false,
  replicaLogsUpdates: true,
};
const TOLD: Told = { pod: 'r1', verdict: 'Ahead', reason: 'Ahead', message: '', ready: false, labelled: false };

function past(changes: Partial<Past> = {}): Past {
  return { ...newPast(), ...changes };
}

describe('the truth of a verdict', () => {
  it('Ahead needs rows, GTIDs or changes that the holder lacks', () => {
    assert.match(untruthOf(TOLD, EVIDENCE, past()) ?? '', /nothing that the holder lacks/);
    for (const more of [{ more: ['x'] }, { gtidsAhead: ['0-1-5'] }, { hotAhead: 1 }]) {
      assert.equal(untruthOf(TOLD, { ...EVIDENCE, ...more }, past()), null);
    }
  });

  it('Behind and Purged need something that the binlog of the holder cannot give', () => {
    for (const verdict of ['Behind', 'Purged'] as const) {
      const told = { ...TOLD, verdict };
      assert.notEqual(untruthOf(told, { ...EVIDENCE, lacks: ['x'] }, past()), null);
      assert.equal(untruthOf(told, { ...EVIDENCE, lacks: ['x'], lacksForEver: ['x'] }, past()), null);
    }
  });

  it('Behind can be DDL or changes of rows that the peer of a holder without log_slave_updates wrote', () => {
    const gap = { ...EVIDENCE, lacks: ['x'], hotBehind: 5, peerWrites: ['0-1-73'] };
    const told = { ...TOLD, verdict: 'Behind' } as const;
    assert.equal(untruthOf(told, { ...gap, holderLogsUpdates: false }, past()), null);
    assert.notEqual(untruthOf(told, { ...gap, holderLogsUpdates: false, peerWrites: [] }, past()), null);
    assert.notEqual(untruthOf(told, gap, past()), null);
  });

  it('Behind is no end where gaps are filled and an undisturbed member has what is missing', () => {
    const told = { ...TOLD, verdict: 'Behind' } as const;
    const gap = { ...EVIDENCE, lacks: ['x'], lacksForEver: ['x'], donors: ['hci-a'] };
    assert.match(untruthOf(told, gap, past({ fills: true })) ?? '', /hci-a has all that it lacks/);
    assert.equal(untruthOf(told, gap, past({ fills: false })), null);
    assert.equal(untruthOf(told, { ...gap, donors: [] }, past({ fills: true })), null);
    assert.equal(untruthOf(told, gap, past({ fills: true, restarted: new Set(['hci-a']) })), null);
    assert.equal(untruthOf(told, gap, past({ fills: true, split: true })), null);
  });

  it('ApplierFailed needs a stopped applier with an error', () => {
    const told = { ...TOLD, verdict: 'ApplierFailed' } as const;
    assert.notEqual(untruthOf(told, EVIDENCE, past()), null);
    assert.equal(untruthOf(told, { ...EVIDENCE, sql: 'No', sqlErrno: '1062' }, past()), null);
  });

  it('Frozen needs a split that waits for a person, Unproven something that its reason can come from', () => {
    const frozen: Told = {
      ...TOLD,
      verdict: 'Frozen',
      reason: 'SplitBrain',
      message: 'annotate mxr.dev/approve=split-1',
    };
    assert.notEqual(untruthOf(frozen, EVIDENCE, past()), null);
    assert.equal(untruthOf(frozen, EVIDENCE, past({ split: true })), null);
    assert.notEqual(untruthOf(frozen, EVIDENCE, past({ split: true, approved: true })), null);
    const unproven: Told = { ...TOLD, verdict: 'Unproven', reason: 'LostTail' };
    assert.notEqual(untruthOf(unproven, EVIDENCE, past()), null);
    assert.equal(untruthOf(unproven, EVIDENCE, past({ lostTail: new Set(['hci-a']) })), null);
    assert.notEqual(untruthOf({ ...unproven, reason: 'Contested' }, EVIDENCE, past()), null);
  });

  it('whatever is over is untrue at the end, and a pod that must not be read has no label', () => {
    for (const verdict of [
      'Waiting',
      'Filling',
      'HandingOver',
      'LinkBroken',
      'Unreachable',
      'StoppedByHand',
    ] as const) {
      assert.notEqual(untruthOf({ ...TOLD, verdict }, EVIDENCE, past()), null);
    }
    assert.match(untruthOf({ ...TOLD, labelled: true }, { ...EVIDENCE, more: ['x'] }, past()) ?? '', /read Service/);
  });
});

describe('a legal history', () => {
  const drawn = drawPlan(1);
  const [fault] = drawn.faults;
  assert.ok(fault);
  const legal: Plan = {
    ...drawn,
    configuration: {
      ...drawn.configuration,
      pair: 'standby',
      logSlaveUpdates: [true, true],
      replicaLogSlaveUpdates: true,
      positioning: 'Auto',
      through: 'Auto',
      preempt: false,
      readOnly: true,
      filter: 'none',
    },
    faults: [{ ...fault, kind: 'planned-move', comeback: 'keep' }],
  };

  it('loses nothing, and goes as planned', () => {
    assert.equal(isLegal(legal, past()), true);
    assert.equal(isLegal({ ...legal, faults: [{ ...fault, kind: 'kill-holder', comeback: 'keep' }] }, past()), false);
    assert.equal(isLegal({ ...legal, faults: [{ ...fault, kind: 'planned-move', comeback: 'clone' }] }, past()), false);
    assert.equal(isLegal(legal, past({ unplanned: ['hci-a died undrained'] })), false);
    assert.equal(
      isLegal({ ...legal, configuration: { ...legal.configuration, logSlaveUpdates: [true, false] } }, past()),
      false,
    );
  });

  it('of a shared storage outlives its servers, but not what one of them loses', () => {
    const shared: Plan = {
      ...legal,
      configuration: { ...legal.configuration, pair: 'shared', readOnly: false },
      faults: [{ ...fault, kind: 'kill-holder', comeback: 'bare' }],
    };
    assert.equal(isLegal(shared, past({ restarted: new Set(['hci-a', 'hci-b']) })), true);
    assert.equal(isLegal({ ...shared, faults: [{ ...fault, kind: 'lost-tail-holder' }] }, past()), false);
  });

  it('has no gap that a filter makes, and none with servers that cannot log', () => {
    const filtered = (filter: Configuration['filter']): Plan => ({
      ...legal,
      configuration: { ...legal.configuration, filter },
    });
    assert.equal(isLegal(filtered('binlog-ignore-db'), past()), true, 'what is not logged has no number');
    assert.equal(isLegal(filtered('replicate-do-db'), past()), false, 'a standby lacks what it filtered');
    assert.equal(
      isLegal(
        { ...legal, configuration: { ...legal.configuration, equalIds: true, logSlaveUpdates: [false, false] } },
        past(),
      ),
      false,
    );
  });

  it('obliges where the replica has nothing more, and the holder can give it the rest', () => {
    assert.equal(canFollow({ ...EVIDENCE, lacks: ['x'] }), true);
    assert.equal(canFollow({ ...EVIDENCE, more: ['x'] }), false);
    assert.equal(canFollow({ ...EVIDENCE, lacks: ['x'], lacksForEver: ['x'] }), false);
  });
});

it('GTIDs are compared per domain and server id', () => {
  const mine = numbersOf('0-1-5,0-2-9', '1-1-3', null);
  assert.deepEqual(beyond(mine, numbersOf('0-1-5,0-2-8')), ['0-2-9', '1-1-3']);
});

describe('a verdict that does not come to rest', () => {
  function said(...verdicts: Told['verdict'][]): string[] | undefined {
    const all: Said = new Map();
    for (const verdict of verdicts) remember(all, [{ ...TOLD, verdict, reason: verdict }]);
    return all.get('r1');
  }

  it('is restless where it comes back to the same again and again, and not where it goes on', () => {
    const flap = ['Following', 'Unproven'] as const;
    assert.equal(isRestless(said(...flap, ...flap, ...flap, ...flap)), true);
    assert.equal(isRestless(said(...flap, 'Waiting', 'HandingOver', 'CatchingUp', ...flap)), false);
    assert.equal(isRestless(said('Unproven', 'Unproven', 'Unproven', 'Unproven', 'Unproven', 'Unproven')), false);
    assert.equal(isRestless(undefined), false);
  });
});
