/** The smallest resource that is accepted, as a person would write it; `change` mends or breaks it. */
export function sampleResource(change: (spec: Sample) => void = () => {}): SampleResource {
  const spec: Sample = {
    source: {
      vip: { host: '10.0.0.100' },
      members: [
        { name: 'hci-a', host: '10.0.0.11' },
        { name: 'hci-b', host: '10.0.0.12' },
      ],
      credentials: { secretName: 'orders-source' },
    },
    replicas: {
      selector: { matchLabels: { app: 'orders-replica' } },
      credentials: { secretName: 'orders-replica' },
    },
  };
  change(spec);
  return {
    apiVersion: 'mxr.dev/v1alpha1',
    kind: 'MariaDBExternalReplica',
    metadata: { name: 'orders', namespace: 'default' },
    spec,
  };
}

export interface SampleResource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: Sample;
}

export interface Sample {
  source: {
    vip: { host: unknown; port?: unknown };
    members: Record<string, unknown>[];
    credentials: unknown;
    [field: string]: unknown;
  };
  replicas: Record<string, unknown>;
  [field: string]: unknown;
}

export const STATEFUL_SET = { image: 'mariadb:10.11', storage: { size: '20Gi' } };

/** Every refusal that the API server and the parser share: what is written, and the words that answer it. */
export const REFUSALS: readonly {
  readonly name: string;
  readonly change: (spec: Sample) => void;
  readonly field: string;
  readonly message: RegExp;
}[] = [
  {
    name: 'no member',
    change: (spec) => (spec.source.members = []),
    field: 'spec.source',
    message: /source\.members is empty: list each MariaDB/,
  },
  {
    name: 'two members with one name',
    change: (spec) => (spec.source.members = [memberAt('a', '10.0.0.11'), memberAt('a', '10.0.0.12')]),
    field: 'spec.source',
    message: /same name: give each member a name of its own/,
  },
  {
    name: 'two members with one address',
    change: (spec) => (spec.source.members = [memberAt('a', 'Db.example'), memberAt('b', 'db.EXAMPLE')]),
    field: 'spec.source',
    message: /same host and port: give each member its own address/,
  },
  {
    name: 'two members with one address, one of them by the default port',
    change: (spec) => {
      spec.source.vip.port = 63306;
      spec.source.members = [memberAt('a', '10.0.0.11'), { ...memberAt('b', '10.0.0.11'), port: 63306 }];
    },
    field: 'spec.source',
    message: /same host and port: give each member its own address/,
  },
  {
    name: "a member with the VIP's address",
    change: (spec) => (spec.source.members = [memberAt('a', '10.0.0.100'), memberAt('b', '10.0.0.12')]),
    field: 'spec.source',
    message: /has the address of the VIP: write the address that stays with the server/,
  },
  ...['DualPrimary', 'PrimaryStandby'].map((topology) => ({
    name: `${topology} with one member`,
    change: (spec: Sample) => {
      spec.source['topology'] = topology;
      spec.source.members = [memberAt('a', '10.0.0.11')];
    },
    field: 'spec.source',
    message: /need two members: list the other one too, or write topology: Auto/,
  })),
  {
    name: 'neither selector nor statefulSet',
    change: (spec) => delete spec.replicas['selector'],
    field: 'spec.replicas',
    message: /names no pods: write selector .* or statefulSet/,
  },
  {
    name: 'both selector and statefulSet',
    change: (spec) => (spec.replicas['statefulSet'] = STATEFUL_SET),
    field: 'spec.replicas',
    message: /both selector and statefulSet: keep the one you mean/,
  },
  {
    name: 'an empty selector',
    change: (spec) => (spec.replicas['selector'] = {}),
    field: 'spec.replicas.selector',
    message: /would select every pod: write the labels of the replicas/,
  },
  {
    name: 'a heartbeat that is not shorter than the timeout',
    change: (spec) => (spec['link'] = { heartbeatSeconds: 8, netTimeoutSeconds: 8 }),
    field: 'spec.link',
    message: /heartbeatSeconds must be smaller than link\.netTimeoutSeconds/,
  },
];

/** Values that the schema refuses by itself: pattern, enum, range, type. */
export const MALFORMED: readonly { readonly field: string; readonly change: (spec: Sample) => void }[] = [
  { field: 'spec.source.vip.host', change: (spec) => (spec.source.vip.host = "10.0.0.1'; DROP TABLE x") },
  { field: 'spec.source.vip.host', change: (spec) => (spec.source.vip.host = '') },
  { field: 'spec.source.vip.host', change: (spec) => (spec.source.vip.host = `a${'.b'.repeat(200)}`) },
  { field: 'spec.source.vip.port', change: (spec) => (spec.source.vip.port = 0) },
  { field: 'spec.source.vip.port', change: (spec) => (spec.source.vip.port = 65_536) },
  { field: 'spec.source.vip.port', change: (spec) => (spec.source.vip.port = '3306') },
  { field: 'spec.source.members[0].name', change: (spec) => (spec.source.members = [memberAt('a b', '10.0.0.11')]) },
  { field: 'spec.source.members[0].host', change: (spec) => (spec.source.members = [memberAt('a', '10.0.0.11/8')]) },
  { field: 'spec.source.topology', change: (spec) => (spec.source['topology'] = 'Ring') },
  { field: 'spec.source.credentials.secretName', change: (spec) => (spec.source.credentials = { secretName: '../x' }) },
  { field: 'spec.source.tls.mode', change: (spec) => (spec.source['tls'] = { mode: 'Maybe' }) },
  { field: 'spec.replicas.localWrites', change: (spec) => (spec.replicas['localWrites'] = true) },
  { field: 'spec.link.channel', change: (spec) => (spec['link'] = { channel: "a' FOR CHANNEL 'b" }) },
  { field: 'spec.link.channel', change: (spec) => (spec['link'] = { channel: 'x'.repeat(65) }) },
  { field: 'spec.link.tls.caFile', change: (spec) => (spec['link'] = { tls: { caFile: 'relative/ca.pem' } }) },
  { field: 'spec.link.filters.doDb[0]', change: (spec) => (spec['link'] = { filters: { doDb: ["o'rders"] } }) },
  { field: 'spec.detection.probeIntervalMs', change: (spec) => (spec['detection'] = { probeIntervalMs: 1 }) },
  { field: 'spec.policy.handover', change: (spec) => (spec['policy'] = { handover: 'auto' }) },
  { field: 'spec.policy.minServing', change: (spec) => (spec['policy'] = { minServing: -1 }) },
  { field: 'spec.reseed.bandwidthLimit', change: (spec) => (spec['reseed'] = { bandwidthLimit: 'fast' }) },
  { field: 'spec.serving.maxStalenessSeconds', change: (spec) => (spec['serving'] = { maxStalenessSeconds: 1.5 }) },
  { field: 'spec.suspend', change: (spec) => (spec['suspend'] = 'false') },
];

function memberAt(name: string, host: string): Record<string, unknown> {
  return { name, host };
}
