import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Status } from '../../../src/api/v1alpha1.ts';
import type { Verdict } from '../../../src/api/reasons.ts';
import type { ServerLook } from '../../../src/domain/observation.ts';
import { decide } from '../../../src/domain/verdict.ts';
import { materialChange } from '../../../src/operator/material.ts';
import { statusOf } from '../../../src/operator/status.ts';
import { eventsOf } from '../../../src/operator/tell.ts';
import type { Manifest } from '../../../src/salvage/manifest.ts';
import type { SalvageState } from '../../../src/salvage/salvager.ts';
import { calmInput, EMPTY, stored } from './status-fixture.ts';

const MANIFEST: Manifest = {
  version: 1,
  set: 's',
  namespace: 'shop',
  name: 'orders',
  pod: 'orders-0',
  server: { hostname: 'orders-0', serverId: 101, serverUid: '', startedAt: '2026-03-01T11:00:00.000Z' },
  verdict: 'Ahead',
  savedAt: '2026-03-01T12:00:00.000Z',
  count: 5,
  first: '0-1-96',
  last: '0-1-100',
  firstAt: '2026-03-01T11:00:00.000Z',
  lastAt: '2026-03-01T11:00:05.000Z',
  gtids: ['0-1-96', '0-1-100'],
  complete: true,
  file: 'shop/orders/orders-0-0-1-96-0-1-100.binlog',
  bytes: 4_000,
  sha256: 'ab'.repeat(32),
  readable: null,
};

interface Seen {
  readonly verdict?: Verdict;
  readonly state?: SalvageState | 'Off' | null;
  readonly replica?: Partial<ServerLook>;
  readonly before?: Status;
}

function seen({ verdict = 'Ahead', state = null, replica = {}, before = EMPTY }: Seen): Status {
  const input = calmInput({ replica }, { salvage: () => state, before });
  const decisions = [decide('orders-0', verdict, verdict === 'Ahead' ? 'Ahead' : 'Following', 'has more')];
  return stored(statusOf({ ...input, picture: { ...input.picture, decisions } }));
}

function message(of: Seen): string {
  return seen(of).replicas[0]?.message ?? '';
}

test('the end of the message says what became of what only this replica has', () => {
  const saved = { kind: 'Saved', manifest: MANIFEST } as const;
  assert.equal(message({ state: saved }), `has more. Saved: 5 transactions, as ${MANIFEST.file} on the salvage volume`);
  const some = { kind: 'Saved', manifest: { ...MANIFEST, complete: false } } as const;
  assert.match(message({ state: some }), /Saved: 5 transactions, which may not be all, as/);
  assert.match(message({ state: 'Off' }), /Nothing is saved: the operator has no salvage volume .*MXR_SALVAGE_DIR/);
  assert.match(message({ state: { kind: 'Failed', message: 'the volume is full' } }), /Not saved: the volume is full/);
  assert.match(message({ state: { kind: 'Pending' } }), /Not saved yet/);
  const noLog = message({ state: 'Off', replica: { logSlaveUpdates: false } });
  assert.match(noLog, /Nothing can be saved: it has no binlog of what it applied.*relay log.*keep its pod/);
  assert.equal(message({ verdict: 'Following', state: saved }), 'has more', 'nothing is unique any more');
});

test('where it was saved is written at once and told once; it stays until the replica is proven again', () => {
  const pending = seen({ state: { kind: 'Pending' } });
  const saved = seen({ state: { kind: 'Saved', manifest: MANIFEST }, before: pending });
  const { file, sha256, savedAt: at, count } = MANIFEST;
  assert.deepEqual(saved.replicas[0]?.salvage, { file, at, sha256, count });
  assert.equal(materialChange(pending, saved), true);
  const told = eventsOf(pending, saved).filter(({ reason }) => reason === 'Salvaged');
  assert.deepEqual(told.length, 1);
  assert.match(told[0]?.message ?? '', /5 transactions that only orders-0 has were saved as shop\/orders\//);
  assert.deepEqual(eventsOf(saved, saved), []);

  const down = seen({ verdict: 'Unreachable', state: null, before: saved });
  assert.equal(down.replicas[0]?.salvage?.file, MANIFEST.file);
  assert.equal(seen({ verdict: 'Following', before: down }).replicas[0]?.salvage, undefined);
});

test('a process that finds it saved already by the one before says so at once', () => {
  const saved = { kind: 'Saved', manifest: MANIFEST } as const;
  const before = seen({ state: saved });
  const reading = seen({ state: { kind: 'Pending' }, before });
  assert.deepEqual(reading.replicas[0]?.salvage, before.replicas[0]?.salvage);
  assert.equal(materialChange(reading, seen({ state: saved, before: reading })), true);
});
