import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Evidence } from '../../chaos/evidence.ts';
import type { Configuration } from '../../chaos/configuration.ts';
import { newPast } from '../../chaos/field.ts';
import type { Past } from '../../chaos/field.ts';
import { beyond, numbersOf } from '../../chaos/gtid.ts';
import { isLegal, mayBothHaveWritten } from '../../chaos/legal.ts';
import { drawPlan } from '../../chaos/plan.ts';
import type { Kind, Plan } from '../../chaos/plan.ts';
import type { Said } from '../../chaos/rest.ts';
import { comesBack, lostOf } from '../../chaos/run-plan.ts';
import { isRestless, remember } from '../../chaos/rest.ts';
import type { Told } from '../../chaos/truth.ts';
import { untold, untruthOf } from '../../chaos/truth.ts';

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
  doubled: [],
  holes: [],
  passedOver: [],
  differing: [],
  twins: [],
  reordered: [],
  elsewhere: [],
  equalIds: false,
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
    const restarted = new Set(['r1', 'hci-a']);
    assert.notEqual(untruthOf(frozen, EVIDENCE, past({ split: true, restarted })), null, 'adverts that nobody missed');
    assert.equal(untruthOf(frozen, EVIDENCE, past({ twoHolders: true })), null);
    assert.equal(untruthOf(frozen, { ...EVIDENCE, elsewhere: ['0-1-9'] }, past()), null);
    assert.notEqual(untruthOf(frozen, EVIDENCE, past({ twoHolders: true, approved: true })), null);
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

describe('what a refusal needs that it is called by', () => {
  const holds = (reason: string, evidence: Partial<Evidence> = {}, then: Partial<Past> = {}): boolean =>
    untruthOf({ ...TOLD, verdict: 'Unproven', reason }, { ...EVIDENCE, ...evidence }, past(then)) === null;

  it('Diverged: other content under one GTID, or more than the holder has; rows that are merely lacking are none', () => {
    const told = { ...TOLD, verdict: 'Diverged', reason: 'Diverged' } as const;
    assert.notEqual(untruthOf(told, { ...EVIDENCE, lacks: ['x'], hotBehind: 3 }, past()), null);
    assert.equal(untruthOf(told, { ...EVIDENCE, differing: ['0-1-7'] }, past()), null);
    assert.equal(untruthOf(told, { ...EVIDENCE, more: ['x'] }, past()), null);
  });

  it('NotPrefix: something that the replica lacks below what it has, or numbers that two have given', () => {
    assert.equal(holds('NotPrefix', { lacks: ['x'] }, { split: true, restarted: new Set(['hci-a']) }), false);
    for (const evidence of [
      { holes: ['0-1-7'] },
      { passedOver: ['0-2-7'] },
      { twins: ['0-*-7'] },
      { unknownOrigins: ['0-2'] },
      { equalIds: true },
    ])
      assert.equal(holds('NotPrefix', evidence), true, JSON.stringify(evidence));
  });

  it('OrderDiffers: an order that is another one', () => {
    assert.equal(holds('OrderDiffers', { lacks: ['x'] }), false);
    for (const evidence of [{ reordered: ['1-1-7'] }, { holes: ['1-1-7'] }, { twins: ['0-*-7'] }])
      assert.equal(holds('OrderDiffers', evidence), true, JSON.stringify(evidence));
  });

  it('WitnessesDisagree: data that went back, numbers given twice, or coordinates of another server', () => {
    assert.equal(holds('WitnessesDisagree', {}, { restarted: new Set(['hci-a', 'r1']) }), false);
    assert.equal(holds('WitnessesDisagree', {}, { lostTail: new Set(['hci-a']) }), true);
    assert.equal(holds('WitnessesDisagree', { twins: ['0-*-7'] }), true);
    assert.equal(holds('WitnessesDisagree', { usingGtid: 'No' }), false);
    assert.equal(holds('WitnessesDisagree', { usingGtid: 'No' }, { holders: new Set(['hci-a', 'hci-b']) }), true);
    assert.equal(holds('WitnessesDisagree', { usingGtid: 'No' }, { restarted: new Set(['r1']) }), true);
  });

  it('IntentMismatch: a link by file, and an operator that may have forgotten what it had begun', () => {
    const made: Kind[] = ['kill-operator'];
    assert.equal(holds('IntentMismatch', {}, { made }), false);
    assert.equal(holds('IntentMismatch', { usingGtid: 'No' }, { made: ['planned-move'] }), false);
    assert.equal(holds('IntentMismatch', { usingGtid: 'No' }, { made }), true);
  });

  it('LineageChanged: a member that restarted or was cloned; a replica that did is no member', () => {
    assert.equal(holds('LineageChanged', {}, { restarted: new Set(['r1', 'r2']) }), false);
    assert.equal(holds('LineageChanged', {}, { restarted: new Set(['hci-b']) }), true);
    assert.equal(holds('LineageChanged', {}, { cloned: new Set(['hci-b']) }), true);
  });

  it('StandbyNeverSeen and TakeoverUnknown: another member took over, and its binlog does not tell', () => {
    const holders = new Set(['hci-a', 'hci-b']);
    for (const reason of ['StandbyNeverSeen', 'TakeoverUnknown']) {
      assert.equal(holds(reason, { holderLogsUpdates: false }), false);
      assert.equal(holds(reason, {}, { holders }), false);
      assert.equal(holds(reason, { holderLogsUpdates: false }, { holders }), true);
    }
  });
});

describe('what a refusal does not tell', () => {
  it('is a doubled row, whatever the verdict but those that say so', () => {
    const doubled = { ...EVIDENCE, doubled: ['x'] };
    for (const verdict of ['Behind', 'Frozen', 'ApplierFailed', 'Ahead', 'Unreachable'] as const)
      assert.deepEqual(untold({ ...TOLD, verdict, reason: verdict }, doubled).doubled, ['x'], verdict);
    for (const reason of ['CrashUnsafePosition', 'ReplicaRestarted'])
      assert.deepEqual(untold({ ...TOLD, verdict: 'Unproven', reason }, doubled).doubled, []);
  });

  it('is a hole below what the replica has, where the verdict is about what comes after that', () => {
    const torn = { ...EVIDENCE, holes: ['0-1-7'] };
    for (const verdict of ['Behind', 'Purged'] as const)
      assert.deepEqual(untold({ ...TOLD, verdict, reason: verdict }, torn).lost, ['0-1-7'], verdict);
    const failed = { ...TOLD, verdict: 'ApplierFailed', reason: 'ApplierFailed' } as const;
    assert.deepEqual(untold({ ...failed, labelled: true }, torn).lost, ['0-1-7'], 'it is read');
    assert.deepEqual(untold(failed, torn).lost, []);
    assert.deepEqual(untold({ ...TOLD, verdict: 'Unproven', reason: 'NotPrefix' }, torn).lost, []);
  });
});

describe('a pair and an operator that come back', () => {
  const back = async (): Promise<string> => 'hci-a';
  const gone = async (): Promise<never> => Promise.reject(new Error('gone'));

  it('leave nothing to judge without a pair, and a failure of mxr without an operator', async () => {
    assert.deepEqual(await comesBack(back, async () => undefined), { holder: 'hci-a' });
    assert.deepEqual(await comesBack(gone, async () => undefined), { void: 'gone' });
    await assert.rejects(comesBack(back, gone), /gone/);
  });
});

it('what was acknowledged and is not there is lost, of the tables whose rows stay', () => {
  const one = { type: 'ack', server: 'hci-a', startedAt: 0, at: 0 } as const;
  const acknowledged = [
    { ...one, table: 'plain', token: 'p' },
    { ...one, table: 'auto', token: 'q' },
    { ...one, table: 'hot', token: 'h' },
  ] as const;
  assert.deepEqual(lostOf(acknowledged, new Map([['p', 1]])), ['q']);
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

  it('leaves an order to the last writers of a row, also where there are two primaries', () => {
    const dual: Plan = { ...legal, configuration: { ...legal.configuration, pair: 'dual' } };
    assert.equal(mayBothHaveWritten(dual, true), false);
    assert.equal(mayBothHaveWritten(dual, false), true);
    assert.equal(mayBothHaveWritten(legal, false), false);
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
