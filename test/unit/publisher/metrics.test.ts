import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Coordinates } from '../../../src/api/publisher.ts';
import { NO_DATABASE, NOTHING_IMPORTED } from '../../../src/publisher/coordinates.ts';
import { PUBLISHER_METRICS } from '../../../src/publisher/metrics-table.ts';
import { publisherMetrics } from '../../../src/publisher/metrics.ts';

const NOTHING: Coordinates = {
  member: 'hci-b',
  databaseAnswers: false,
  vipHeld: null,
  ...NO_DATABASE,
  takeover: null,
  peer: null,
  imported: NOTHING_IMPORTED,
  monotonicAgeMs: null,
};

test('metrics say what is known when they are asked for, and nothing of what is not', async () => {
  let now = NOTHING;
  const clock = { monotonicMs: () => 0, wallMs: () => Date.parse('2026-03-01T12:00:05.000Z') };
  const counts = { appended: 5, writeErrors: 0, bytes: 10, inMemory: 0 };
  const journal = { damage: ['one', 'two'], counts };
  const metrics = publisherMetrics({ coordinates: () => now, journal, clock, processMetrics: false });
  const samples = async (): Promise<string[]> =>
    (await metrics.text()).split('\n').filter((line) => line.startsWith('mxr_'));
  assert.deepEqual(await samples(), [
    'mxr_publisher_database_up 0',
    'mxr_publisher_takeover_known 0',
    'mxr_publisher_journal_damages 2',
    'mxr_publisher_journal_entries_in_memory 0',
    'mxr_publisher_journal_write_errors_total 0',
  ]);
  Object.assign(counts, { writeErrors: 3, inMemory: 4 });
  const observedAt = '2026-03-01T12:00:00.000Z';
  const peer = {
    member: 'hci-a',
    serverId: 1,
    serverUid: '',
    startedAt: observedAt,
    file: '',
    position: 0,
    gtidBinlogPos: '',
  };
  now = {
    ...NOTHING,
    databaseAnswers: true,
    vipHeld: true,
    monotonicAgeMs: 250,
    peer: { ...peer, vipHeld: null, observedAt },
  };
  assert.deepEqual(await samples(), [
    'mxr_publisher_database_up 1',
    'mxr_publisher_vip_held 1',
    'mxr_publisher_look_age_seconds 0.25',
    'mxr_publisher_takeover_known 0',
    'mxr_publisher_peer_age_seconds 5',
    'mxr_publisher_journal_damages 2',
    'mxr_publisher_journal_entries_in_memory 4',
    'mxr_publisher_journal_write_errors_total 3',
  ]);
  now = NOTHING;
  assert.equal((await samples()).length, 5);
  for (const { name, help } of PUBLISHER_METRICS) assert.ok((await metrics.text()).includes(`# HELP ${name} ${help}`));
});
