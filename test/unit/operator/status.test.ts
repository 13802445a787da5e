import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Status } from '../../../src/api/v1alpha1.ts';
import { known, NOT_ASKED_YET, unknown } from '../../../src/domain/fact.ts';
import type { MemberObservation } from '../../../src/domain/observation.ts';
import { decide } from '../../../src/domain/verdict.ts';
import { statusNotLooked, statusOf } from '../../../src/operator/status.ts';
import type { StatusInput } from '../../../src/operator/status.ts';
import { calmPair, down, link, NOW, position, published, replicaMemory, state, WALL } from '../domain/pair-fixture.ts';
import { calmInput, calmStatus, EMPTY, handover, resource, stored } from './status-fixture.ts';

function withDecisions(input: StatusInput, decisions: StatusInput['picture']['decisions']): StatusInput {
  return { ...input, picture: { ...input.picture, decisions } };
}

describe('the status of a calm pass', () => {
  const status = calmStatus({ replicas: 3 });

  test('says who holds the VIP, what each member is, and that all follow', () => {
    assert.deepEqual(
      [status.holder, status.verdict, status.following, status.lagSeconds],
      ['a', 'Following', '3/3', 0],
    );
    assert.equal(status.observedGeneration, 4);
    assert.deepEqual([status.source.situation, status.source.vip?.answers], ['Stable', true]);
    assert.equal(status.source.vip?.since, '2026-03-01T11:59:00.000Z');
    const [a, b] = status.source.members;
    assert.deepEqual([a?.holdsVip, a?.readOnly, a?.applying], [true, false, undefined]);
    assert.deepEqual([b?.holdsVip, b?.readOnly, b?.applying], [false, true, true]);
    assert.deepEqual([b?.lastStandby?.applied.position, b?.lastStandby?.drained], [900, true]);
  });

  test('says of each replica who feeds it, where it stands, and whether it serves', () => {
    const [replica] = status.replicas;
    assert.ok(replica);
    const { attachedTo, ready, serving, gtid, file, position: offset, positioning, through, lagSeconds } = replica;
    assert.deepEqual(
      [attachedTo, ready, serving, gtid, positioning, through, lagSeconds],
      ['a', true, true, '0-1-100', 'GTID', 'Member', 0],
    );
    assert.deepEqual([file, offset], ['a-bin.000003', 900]);
  });
});

describe('what is not known', () => {
  test('is absent: the lag is never 0 because nobody knows it', () => {
    const input = calmInput({ replicas: 2 });
    const late = decide('orders-0', 'CatchingUp', 'CatchingUp', '', { lagSeconds: 12.4 });
    const gone = decide('orders-1', 'Unreachable', 'Unreachable', 'no answer');
    const status = stored(statusOf(withDecisions(input, [late, gone])));
    assert.equal('lagSeconds' in status, false);
    assert.deepEqual(
      status.replicas.map((replica) => replica.lagSeconds),
      [12, undefined],
    );
    assert.deepEqual([status.verdict, status.following], ['Unreachable', '1/2']);
  });

  test('a member that does not answer keeps what it said last, and says since when', () => {
    const input = calmInput();
    const before = calmStatus();
    const [a] = input.observation.members;
    assert.ok(a);
    const observation = { ...input.observation, wallNow: WALL + 60_000, members: [a, down('b', '10.0.0.12')] };
    const [, b] = stored(statusOf({ ...input, before, observation })).source.members;
    assert.deepEqual([b?.reachable, b?.version, b?.gtidSlavePos], [false, '10.11.19-MariaDB-log', '0-1-100']);
    assert.equal(b?.observedAt, before.source.members[1]?.observedAt);
    assert.match(b?.message ?? '', /no answer within 1000 ms/);
  });

  test('without a holder no member is said to hold the VIP or not to', () => {
    const input = calmInput();
    const diagnosis = {
      situation: 'VipSilent',
      message: 'silent',
      holder: null,
      complete: true,
      split: null,
      applying: null,
    } as const;
    const look = unknown('Deadline', 'no answer', NOW);
    const vip = { look, failures: 2, silentSince: NOW - 2000, answersSince: null };
    const observation = { ...input.observation, vip };
    const status = stored(statusOf({ ...input, observation, picture: { ...input.picture, diagnosis } }));
    assert.equal(status.holder, '');
    assert.deepEqual(status.source.vip, { answers: false, since: '2026-03-01T11:59:58.000Z' });
    assert.deepEqual(
      status.source.members.map((member) => member.holdsVip),
      [undefined, undefined],
    );
  });

  test('a replica that receives from another server is not attached to the holder', () => {
    const [replica] = calmStatus({ a: { dumps: [] }, replica: { links: [link({ sourceServerId: 2 })] } }).replicas;
    assert.equal(replica?.attachedTo, undefined);
  });
});

describe('the publisher of a member', () => {
  function member(publisher: MemberObservation['publisher']) {
    const input = calmInput();
    const [a, b] = input.observation.members;
    assert.ok(a !== undefined && b !== undefined);
    const members = [a, publisher === undefined ? b : { ...b, publisher }];
    return stored(statusOf({ ...input, observation: { ...input.observation, members } })).source.members[1]?.publisher;
  }

  test('is told with whether its host has the VIP, as far as it knows', () => {
    const { b } = calmPair();
    assert.deepEqual(member(known(published(b, { ageMs: null }), NOW)), { reachable: true, vipHeld: false });
    assert.deepEqual(member(known(published(b, { vipHeld: null, ageMs: null }), NOW)), { reachable: true });
  });

  test('says when it looked at its database last, by the clock of mxr', () => {
    const { b } = calmPair();
    const { now } = calmInput().observation;
    const told = member(known(published(b, { ageMs: 4_000 }), now - 1_000));
    assert.equal(told?.observedAt, new Date(WALL - 5_000).toISOString());
  });

  test('that does not answer says why, within bounds', () => {
    assert.deepEqual(member(unknown('Deadline', 'no answer', NOW)), { reachable: false, message: 'no answer' });
    const long = member(unknown('ProtocolError', 'x'.repeat(10_000), NOW));
    assert.equal(long?.message?.length, 600);
  });

  test('is absent where there is none, and before it was asked', () => {
    assert.equal(member(undefined), undefined);
    assert.equal(member(NOT_ASKED_YET), undefined);
  });
});

test('since moves with verdict or reason only', () => {
  const before = calmStatus();
  const input = calmInput();
  const later = { ...input, before, observation: { ...input.observation, wallNow: WALL + 5000 } };
  assert.equal(stored(statusOf(later)).replicas[0]?.since, '2026-03-01T12:00:00.000Z');
  for (const verdict of ['Waiting', 'Following'] as const) {
    const reason = verdict === 'Waiting' ? 'Following' : 'Stale';
    const changed = withDecisions(later, [decide('orders-0', verdict, reason, '')]);
    assert.equal(stored(statusOf(changed)).replicas[0]?.since, '2026-03-01T12:00:05.000Z');
  }
});

test('a start time keeps its text while the seconds of uptime round one way or the other', () => {
  const before = calmStatus();
  const [first] = before.replicas;
  const input = calmInput();
  const moved = (ms: number) => {
    const startedAt = Date.parse(first?.startedAt ?? '') + ms;
    const replicas = new Map([['orders-0', replicaMemory('orders-0', { startedAt })]]);
    const memory = { ...input.picture.memory, replicas };
    return stored(statusOf({ ...input, before, picture: { ...input.picture, memory } })).replicas[0]?.startedAt;
  };
  assert.equal(moved(900), first?.startedAt);
  assert.notEqual(moved(2000), first?.startedAt);
});

test('a deleted pod is gone from the status', () => {
  const before = calmStatus({ replicas: 3 });
  assert.deepEqual(
    calmStatus({ replicas: 1 }, { before }).replicas.map((replica) => replica.pod),
    ['orders-0'],
  );
});

test("the transactions that only the standby has are the member's own", () => {
  const [, b] = calmStatus({ b: { gtidBinlogState: state('0-1-100,0-2-101') } }).source.members;
  assert.deepEqual(b?.ownTransactions, { gtids: ['0-2-101'] });
});

test('what was read of them in its binlog completes the list; what was not read is absent, never 0', () => {
  const read = {
    count: 30,
    bytes: 4_000,
    firstAt: Date.parse('2026-03-01T11:00:00Z'),
    lastAt: null,
    first: Array.from({ length: 10 }, (_, index) => `0-2-${101 + index}`),
    last: Array.from({ length: 10 }, (_, index) => `0-2-${121 + index}`),
    from: null,
    complete: false,
  };
  const histories = { of: (server: object) => ('member' in server ? read : null) };
  const [, b] = calmStatus({ b: { gtidBinlogState: state('0-1-100,0-2-101') } }, { histories }).source.members;
  const gtids = [...read.first, ...read.last];
  assert.deepEqual(b?.ownTransactions, {
    count: 30,
    firstAt: '2026-03-01T11:00:00.000Z',
    bytes: 4_000,
    gtids,
    atLeast: true,
  });
  const few = { ...read, count: 12, first: gtids.slice(0, 10), last: gtids.slice(2, 12), complete: true };
  const complete = { histories: { of: () => few } };
  const [, all] = calmStatus({ b: { gtidBinlogState: state('0-1-100,0-2-101') } }, complete).source.members;
  assert.deepEqual(all?.ownTransactions?.gtids, gtids.slice(0, 12), 'none twice');
  assert.equal(all.ownTransactions.atLeast, undefined);
});

test('transactions are listed by their ends', () => {
  const gtids = Array.from({ length: 50 }, (_, index) => `0-1-${index}`);
  const transactions = { count: 50, gtids };
  const ahead = decide('orders-0', 'Ahead', 'Ahead', 'has more', { transactions });
  const [replica] = stored(statusOf(withDecisions(calmInput(), [ahead]))).replicas;
  assert.equal(replica?.transactions?.count, 50);
  assert.deepEqual(replica?.transactions?.gtids, [...gtids.slice(0, 10), ...gtids.slice(-10)]);
});

describe('handovers', () => {
  test('the last ten are kept, with the time of the newest', () => {
    const handovers = Array.from({ length: 12 }, (_, index) => handover(`h-${12 - index}`, 3));
    const status = calmStatus({}, { handovers });
    assert.equal(status.handovers.length, 10);
    assert.equal(status.handovers[0]?.id, 'h-12');
    assert.equal(status.lastHandover, handovers[0]?.finishedAt);
  });

  test('steps are kept in the newest, and where something went wrong', () => {
    const wrong = handover('h-1', 2);
    const [first, second] = wrong.replicas;
    assert.ok(first && second);
    const failed = { ...first, steps: first.steps.map((step) => ({ ...step, outcome: 'deadline' as const })) };
    const refused = { ...second, proof: undefined };
    const handovers = [handover('h-3', 1), handover('h-2', 1), { ...wrong, replicas: [failed, refused, first] }];
    const kept = calmStatus({}, { handovers }).handovers.map((one) =>
      one.replicas.map((replica) => replica.steps.length),
    );
    assert.deepEqual(kept, [[6], [0], [6, 6, 0]]);
  });

  test('an intent is there while a handover is open, and gone after', () => {
    const intent = { id: 'h-1', from: 'a', to: 'b', startedAt: '2026-03-01T11:00:00.000Z', replicas: [] };
    const before = calmStatus({}, { intent });
    assert.equal(before.intent?.id, 'h-1');
    assert.equal('intent' in calmStatus({}, { before }), false);
  });

  test('an intent is written although a pass is not complete', () => {
    const input = calmInput({}, { before: calmStatus() });
    const intent = { id: 'h-1', from: 'a', to: 'b', startedAt: '2026-03-01T11:00:00.000Z', replicas: [] };
    const diagnosis = { ...input.picture.diagnosis, complete: false, split: null };
    const status = stored(statusOf({ ...input, intent, picture: { ...input.picture, diagnosis } }));
    assert.deepEqual([status.intent?.id, status.verdict], ['h-1', 'Following']);
  });
});

describe('a resource that is not accepted', () => {
  test('keeps what mxr remembers and says nothing of the present', () => {
    const before = calmStatus({ replicas: 2 });
    const accepted = { accepted: false, reason: 'SecretMissing', message: 'create Secret orders-source' } as const;
    const told = { resource: resource(), before, accepted, intent: null, approvals: [], handovers: [], split: null };
    const status = stored(statusNotLooked({ ...told, wallNow: WALL }));
    assert.deepEqual([status.holder, status.verdict, status.following], ['', undefined, '0/2']);
    assert.equal(status.source.situation, undefined);
    for (const member of status.source.members) assert.equal(member.reachable, false);
    for (const [index, replica] of status.replicas.entries()) {
      assert.deepEqual([replica.ready, replica.reason], [false, 'NotLookedYet']);
      assert.deepEqual(replica.baseline, before.replicas[index]?.baseline);
      assert.match(replica.message, /create Secret orders-source/);
    }
    const ready = status.conditions.find((condition) => condition.type === 'Ready');
    assert.equal(ready?.status, 'Unknown');
  });

  test('for the first time is told without a picture', () => {
    const accepted = { accepted: false, reason: 'HostUnresolved', message: 'db.example' } as const;
    const told = {
      resource: resource(),
      before: EMPTY,
      accepted,
      intent: null,
      approvals: [],
      handovers: [],
      split: null,
    };
    const status = stored(statusNotLooked({ ...told, wallNow: WALL }));
    assert.deepEqual([status.following, status.replicas.length, status.conditions.length], ['', 0, 6]);
  });
});

describe('the size of the status', () => {
  const LIMIT = 256 * 1024;

  /** A hundred replicas, each with much to say, ten handovers of all of them, and an open one. */
  function large(): Status {
    const long = 'the holder would refuse the position because of something that takes long to explain; '.repeat(20);
    const gtids = Array.from({ length: 40 }, (_, index) => `4294967295-4294967295-18446744073709551${index + 100}`);
    const input = calmInput({ replicas: 100 });
    const decisions = input.picture.decisions.map(({ pod }) =>
      decide(pod, 'Ahead', 'Ahead', long, { transactions: { count: 40, gtids } }),
    );
    const wide = state(Array.from({ length: 10 }, (_, index) => `0-${index + 1}-123456789`).join(','));
    const captured = {
      at: WALL,
      exec: { file: 'a-bin.000003', position: 900 },
      read: { file: 'a-bin.000003', position: 900 },
      gtid: position('0-1-123456789'),
      gtidIoPos: position('0-1-123456789'),
    };
    const replicas = new Map(
      decisions.map(({ pod }) => {
        const { baseline } = replicaMemory(pod);
        return [pod, replicaMemory(pod, { captured, baseline: baseline && { ...baseline, contains: wide } })];
      }),
    );
    const memory = { ...input.picture.memory, replicas };
    const findings = decisions.map(
      ({ pod }) => ({ finding: 'NotAdopted', severity: 'error', subject: pod, message: long }) as const,
    );
    const handovers = Array.from({ length: 10 }, (_, index) => handover(`h-${index}`, 100, long.slice(0, 300)));
    const intent = {
      id: 'h-11',
      from: 'a',
      to: 'b',
      startedAt: '2026-03-01T11:00:00.000Z',
      replicas: decisions.map(({ pod }) => ({
        pod,
        member: 'b',
        incarnation: '2026-03-01T11:00:00.000Z',
        gtid: '0-1-123456789',
        step: 'Capture' as const,
      })),
    };
    return statusOf({ ...input, picture: { ...input.picture, decisions, memory }, findings, handovers, intent });
  }

  test('stays under 256 KiB with 100 replicas, and what must last is whole', () => {
    const status = large();
    const size = Buffer.byteLength(JSON.stringify(status));
    assert.ok(size < LIMIT, `${size} bytes`);
    assert.equal(status.replicas.length, 100);
    for (const replica of status.replicas) {
      assert.equal(replica.baseline?.contains.split(',').length, 10);
      assert.ok(replica.captured);
    }
    assert.equal(status.intent?.replicas.length, 100);
    assert.ok(status.handovers.length > 0);
  });

  test('three replicas give up nothing', () => {
    const handovers = Array.from({ length: 10 }, (_, index) => handover(`h-${index}`, 3, 'CHANGE MASTER TO ...'));
    const status = calmStatus({ replicas: 3 }, { handovers });
    assert.equal(status.handovers[0]?.replicas[2]?.steps[3]?.detail, 'CHANGE MASTER TO ...');
    assert.equal(status.handovers[9]?.replicas.length, 3);
  });
});
