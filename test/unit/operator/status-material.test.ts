import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Status } from '../../../src/api/v1alpha1.ts';
import { decide } from '../../../src/domain/verdict.ts';
import { materialChange } from '../../../src/operator/material.ts';
import { statusOf } from '../../../src/operator/status.ts';
import type { StatusInput } from '../../../src/operator/status.ts';
import { holderLook, link, NOW, position, replicaMemory, state, WALL } from '../domain/pair-fixture.ts';
import { newLineage } from '../../../src/domain/lineage.ts';
import { calmInput, calmStatus, handover, stored } from './status-fixture.ts';

const BEFORE = calmStatus({ replicas: 2 });

function next(change: (input: StatusInput) => Partial<StatusInput>): Status {
  const input = calmInput({ replicas: 2 }, { before: BEFORE });
  return stored(statusOf({ ...input, ...change(input) }));
}

describe('written at once', () => {
  const changes: Record<string, (input: StatusInput) => Partial<StatusInput>> = {
    'a verdict': (input) => decisions(input, decide('orders-1', 'Waiting', 'VipSilent', 'm')),
    'a reason': (input) => decisions(input, decide('orders-1', 'Following', 'Stale', 'm', { lagSeconds: 0 })),
    'the situation': (input) => diagnosis(input, { situation: 'HolderReadOnly' }),
    'the holder': (input) => diagnosis(input, { holder: null }),
    'an intent': () => ({
      intent: { id: 'h', from: 'a', to: 'b', startedAt: '2026-03-01T11:00:00.000Z', replicas: [] },
    }),
    'a handover record': () => ({ handovers: [handover('h', 1)] }),
    'an approval': () => ({ approvals: [{ id: 'h', by: 'me', at: '2026-03-01T11:00:00.000Z', via: 'annotation' }] }),
    'a pod that enters or leaves the read Service': () => ({ serving: new Set(['orders-0']) }),
    'a finding': () => ({ findings: [{ finding: 'SyncBinlogOff', severity: 'warning', subject: 'a', message: 'm' }] }),
    'what Accepted asks for': () => ({ accepted: { accepted: true, reason: 'Accepted', message: 'other' } }),
    'a captured position': (input) =>
      memory(input, {
        captured: {
          at: WALL,
          exec: { file: 'a-bin.000003', position: 900 },
          read: { file: 'a-bin.000003', position: 900 },
          gtid: position('0-1-100'),
          gtidIoPos: position('0-1-100'),
        },
      }),
    'the member of a baseline': (input) => memory(input, { baseline: { ...baseline(), member: 'b' } }),
    'the lineage of a baseline': (input) => memory(input, { baseline: { ...baseline(), lineage: 'other' } }),
    'what proved a baseline': (input) => memory(input, { baseline: { ...baseline(), by: 'Handover' } }),
    'a restart of a replica': (input) => memory(input, { startedAt: WALL - 1000 }),
    "what a replica's link dials": (input) => memory(input, { through: 'VIP' }),
    'a lineage in question': (input) => members(input, { inQuestion: true }),
    'a broken lineage': (input) => members(input, { broken: { reason: 'LostTail', message: 'm' } }),
  };
  for (const [name, change] of Object.entries(changes)) {
    test(name, () => assert.equal(materialChange(BEFORE, next(change)), true));
  }

  test('the first status of a resource', () => assert.equal(materialChange(null, BEFORE), true));

  test('an id that a person is to copy', () => {
    const waits = (id: string) =>
      next((input) =>
        decisions(input, decide('orders-1', 'AwaitingApproval', 'HandoverNeedsApproval', `mxr.dev/approve=${id}`)),
      );
    assert.equal(materialChange(waits('b-11aa'), waits('b-22bb')), true);
  });
});

describe('waits for the refresh', () => {
  test('nothing at all', () =>
    assert.equal(
      materialChange(
        BEFORE,
        next(() => ({})),
      ),
      false,
    ));

  test('positions, files, states and times that move with every write', () => {
    const wrote = {
      gtidBinlogPos: position('0-1-222'),
      gtidBinlogState: state('0-1-222'),
      end: { file: 'a-bin.000004', position: 4000 },
      files: [{ name: 'a-bin.000004', size: 4000 }],
    };
    const applied = {
      gtidSlavePos: position('0-1-222'),
      links: [link({ exec: { file: 'a-bin.000004', position: 4000 } })],
    };
    const input = calmInput({ replicas: 2, a: wrote, b: applied, replica: applied }, { before: BEFORE });
    const observation = { ...input.observation, wallNow: WALL + 29_000, now: NOW + 29_000 };
    const [first, second] = [...input.picture.memory.replicas.values()].map(({ pod }) =>
      replicaMemory(pod, {
        baseline: { ...baseline(), gtid: position('0-1-222'), contains: state('0-1-222'), at: WALL },
      }),
    );
    assert.ok(first && second);
    const replicas = new Map([
      [first.pod, first],
      [second.pod, second],
    ]);
    const picture = { ...input.picture, memory: { ...input.picture.memory, replicas } };
    assert.equal(materialChange(BEFORE, stored(statusOf({ ...input, observation, picture }))), false);
  });

  test('a lag that counts up while the verdict stays', () => {
    const late = (seconds: number) =>
      next((input) =>
        decisions(
          input,
          decide('orders-1', 'CatchingUp', 'CatchingUp', `${seconds} s behind`, { lagSeconds: seconds }),
        ),
      );
    assert.equal(materialChange(late(9), late(120)), false);
  });

  test('the start time of the server behind the VIP, read a moment earlier or later', () => {
    const { identity } = holderLook();
    const jittered = holderLook({ identity: { ...identity, startedAt: identity.startedAt + 900 } });
    const after = next((input) => {
      const vip = {
        ...input.observation.vip,
        look: {
          known: true,
          at: NOW,
          value: { identity: jittered.identity, readOnly: false, lockOwners: {}, look: null },
        },
      } as const;
      return { observation: { ...input.observation, vip } };
    });
    assert.equal(materialChange(BEFORE, after), false);
  });
});

function baseline() {
  const { baseline: value } = replicaMemory('orders-1');
  assert.ok(value);
  return value;
}

function decisions(input: StatusInput, second: StatusInput['picture']['decisions'][number]): Partial<StatusInput> {
  const [first] = input.picture.decisions;
  assert.ok(first);
  return { picture: { ...input.picture, decisions: [first, second] } };
}

function diagnosis(input: StatusInput, change: Partial<StatusInput['picture']['diagnosis']>): Partial<StatusInput> {
  return { picture: { ...input.picture, diagnosis: { ...input.picture.diagnosis, ...change } } };
}

function memory(input: StatusInput, change: Parameters<typeof replicaMemory>[1]): Partial<StatusInput> {
  const replicas = new Map([...input.picture.memory.replicas, ['orders-1', replicaMemory('orders-1', change)]]);
  return { picture: { ...input.picture, memory: { ...input.picture.memory, replicas } } };
}

function members(input: StatusInput, change: Partial<ReturnType<typeof newLineage>>): Partial<StatusInput> {
  const a = { ...newLineage('a', holderLook(), WALL - 1000), ...change };
  const all = new Map([...input.picture.memory.members, ['a', a]]);
  return { picture: { ...input.picture, memory: { ...input.picture.memory, members: all } } };
}
