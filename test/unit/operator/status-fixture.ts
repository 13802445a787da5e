import assert from 'node:assert/strict';
import { parseResource } from '../../../src/api/v1alpha1.ts';
import type { ExternalReplica, HandoverRecord, Status } from '../../../src/api/v1alpha1.ts';
import { Status as StatusSchema } from '../../../src/api/status.ts';
import type { Picture } from '../../../src/domain/judge.ts';
import { NEW_PAIR } from '../../../src/domain/situation.ts';
import { decide } from '../../../src/domain/verdict.ts';
import type { StatusInput } from '../../../src/operator/status.ts';
import { statusOf } from '../../../src/operator/status.ts';
import { sampleResource } from '../api/sample.ts';
import { calmPair, POLICY } from '../domain/pair-fixture.ts';
import type { PairChange } from '../domain/pair-fixture.ts';

export const EMPTY: Status = StatusSchema.parse({});

export function resource(): ExternalReplica {
  const sample = sampleResource();
  const parsed = parseResource({ ...sample, metadata: { ...sample.metadata, generation: 4 } });
  assert.ok(parsed.ok);
  return parsed.resource;
}

/** A calm pass in which every replica follows. */
export function calmInput(change: PairChange = {}, over: Partial<StatusInput> = {}): StatusInput {
  const { observation, memory, diagnosis } = calmPair(change);
  const decisions = observation.replicas.map(({ pod }) =>
    decide(pod, 'Following', 'Following', 'follows a', { lagSeconds: 0 }),
  );
  const picture: Picture = {
    diagnosis,
    decisions,
    memory,
    plans: [],
    questions: [],
    pair: { ...NEW_PAIR, holder: 'a' },
  };
  return {
    resource: resource(),
    before: EMPTY,
    accepted: { accepted: true, reason: 'Accepted', message: 'everything that the resource names may be used' },
    intent: null,
    approvals: [],
    handovers: [],
    split: null,
    policy: POLICY,
    observation,
    picture,
    findings: [],
    serving: new Set(observation.replicas.map(({ pod }) => pod)),
    histories: { of: () => null },
    salvage: () => 'Off',
    ...over,
  };
}

/** What the API server gives back: the same text, parsed again. */
export function stored(status: Status): Status {
  return StatusSchema.parse(JSON.parse(JSON.stringify(status)));
}

export function calmStatus(change: PairChange = {}, over: Partial<StatusInput> = {}): Status {
  return stored(statusOf(calmInput(change, over)));
}

export function handover(id: string, replicas: number, detail = ''): HandoverRecord {
  const at = '2026-03-01T11:00:00.000Z';
  const steps = ['Capture', 'Prove', 'Stop', 'Change', 'Start', 'VerifyAttached'] as const;
  return {
    id,
    from: 'a',
    to: 'b',
    trigger: 'VipMoved',
    startedAt: at,
    vipAnsweredAt: at,
    finishedAt: at,
    durationMs: 80,
    outcome: 'Completed',
    replicas: Array.from({ length: replicas }, (_, index) => ({
      pod: `orders-replica-${index}`,
      proof: 'Contained',
      from: { file: 'a-bin.000123', position: 123_456_789, gtid: '0-1-123456789,1-1-987654321' },
      to: { file: 'b-bin.000124', position: 123_456_790, gtid: '0-1-123456789,1-1-987654321' },
      durationMs: 80,
      message: '',
      steps: steps.map((step) => ({ step, outcome: 'ok', startedAt: at, durationMs: 10, detail })),
    })),
  };
}
