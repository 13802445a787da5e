import type { MetricInfo } from '../ops/metrics-table.ts';

/** Every metric of `mxr publisher`; docs/reference/metrics.md is generated from it. */
export const PUBLISHER_METRIC = {
  databaseUp: gauge('mxr_publisher_database_up', '1 while the database of this host answers, else 0.'),
  vipHeld: gauge(
    'mxr_publisher_vip_held',
    '1 while an interface of this host has the VIP, else 0; no series while unknown.',
  ),
  lookAge: gauge(
    'mxr_publisher_look_age_seconds',
    'Age of the last look that the database answered; no series before the first.',
  ),
  takeover: gauge('mxr_publisher_takeover_known', '1 while there is a takeover record, else 0.'),
  peerAge: gauge('mxr_publisher_peer_age_seconds', 'Age of what is known of the peer; no series without any.'),
  damage: gauge('mxr_publisher_journal_damages', 'What is missing in the journal, or not trusted; 0: it is whole.'),
  writeErrors: counter('mxr_publisher_journal_write_errors_total', 'Writes of the journal that its disk did not take.'),
  inMemory: gauge('mxr_publisher_journal_entries_in_memory', 'Entries that are not on the disk: lost if it ends now.'),
} as const satisfies Record<string, MetricInfo>;

export const PUBLISHER_METRICS: readonly MetricInfo[] = Object.values(PUBLISHER_METRIC);

function counter(name: string, help: string): MetricInfo {
  return { name, type: 'counter', labels: [], help };
}

function gauge(name: string, help: string): MetricInfo {
  return { name, type: 'gauge', labels: [], help };
}
