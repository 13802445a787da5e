/**
 * Every metric of mxr: the registry is built from this table and docs/reference/metrics.md is generated from it.
 * `namespace` and `name` are those of the MariaDBExternalReplica.
 */
export interface MetricInfo {
  readonly name: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
  /** Upper bounds in seconds; histograms only. */
  readonly buckets?: readonly number[];
}

const RESOURCE = ['namespace', 'name'] as const;

function gauge(name: string, labels: readonly string[], help: string): MetricInfo {
  return { name, type: 'gauge', labels, help };
}

function counter(name: string, labels: readonly string[], help: string): MetricInfo {
  return { name, type: 'counter', labels, help };
}

/** Around the targets: 0.1 s and 0.5 s, and what keepalived and plain MariaDB take. */
const HANDOVER_SECONDS = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 60, 300];
const PASS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

export const METRIC = {
  holder: gauge(
    'mxr_source_holder',
    [...RESOURCE, 'member'],
    '1 on the member that is proven to hold the VIP, else 0.',
  ),
  memberUp: gauge(
    'mxr_source_member_up',
    [...RESOURCE, 'member'],
    '1 while the member answers on its own address; no series while nobody looks.',
  ),
  publisherUp: gauge(
    'mxr_source_publisher_up',
    [...RESOURCE, 'member'],
    '1 while the publisher of the member answers; no series where it has none, or nobody looks.',
  ),
  situation: gauge(
    'mxr_source_situation',
    [...RESOURCE, 'situation'],
    '1 on the situation that the pair is in, 0 on every other; all are 0 before the first complete look.',
  ),
  following: gauge(
    'mxr_replica_following',
    [...RESOURCE, 'pod'],
    '1 while the replica is attached to the holder at a proven position and applies (ready).',
  ),
  verdict: gauge(
    'mxr_replica_verdict',
    [...RESOURCE, 'pod', 'verdict'],
    "1 on the replica's verdict, 0 on each other one that it had since this process began; the rest has no series.",
  ),
  lag: gauge(
    'mxr_replica_lag_seconds',
    [...RESOURCE, 'pod'],
    'Seconds since the replica last had everything the holder was seen to have; no series while unknown.',
  ),
  retention: gauge(
    'mxr_replica_retention_headroom_seconds',
    [...RESOURCE, 'pod', 'member'],
    'Seconds until the member purges what the replica needs next; no series while unknown.',
  ),
  failoverReady: gauge(
    'mxr_failover_ready',
    RESOURCE,
    '1 while the standby could take over now, 0 while it could not; no series before the first complete look.',
  ),
  finding: gauge('mxr_failover_finding', [...RESOURCE, 'finding'], '1 while the audit has this finding, else 0.'),
  handovers: counter('mxr_handovers_total', [...RESOURCE, 'outcome'], 'Handovers that ended, by outcome.'),
  handoverSeconds: {
    name: 'mxr_handover_duration_seconds',
    type: 'histogram',
    labels: RESOURCE,
    help: 'From the VIP answering on the new holder to the last replica streaming from it.',
    buckets: HANDOVER_SECONDS,
  },
  statements: counter(
    'mxr_statements_total',
    ['statement', 'outcome'],
    'Steps that were run on replicas, by step (statement) and how they ended: ok, error or deadline.',
  ),
  passSeconds: {
    name: 'mxr_reconcile_duration_seconds',
    type: 'histogram',
    labels: [],
    help: 'One pass over one resource, without the steps of a handover.',
    buckets: PASS_SECONDS,
  },
  passErrors: counter('mxr_reconcile_errors_total', ['reason'], 'Passes that ended in an error, by its code.'),
  leader: gauge('mxr_leader', [], '1 while this process is the leader and may act.'),
} as const satisfies Record<string, MetricInfo>;

export const METRICS: readonly MetricInfo[] = Object.values(METRIC);
