import { z } from 'zod';
import { texts, withRules } from './rules.ts';

/** What users write. Every default and bound here ends up in the CRD, so the API server applies it before mxr sees it. */

export const TOPOLOGIES = ['Auto', 'PrimaryStandby', 'DualPrimary', 'SharedStorage'] as const;
export const TLS_MODES = ['Disabled', 'Preferred', 'Required', 'VerifyCA', 'VerifyIdentity'] as const;
export const LINK_THROUGH = ['Auto', 'Member', 'VIP'] as const;
export const POSITIONINGS = ['Auto', 'GTID', 'FilePosition'] as const;

const NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const OBJECT_NAME = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;
const OBJECT_NAME_OR_NONE = /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$/;
/** A DNS name, an IPv4 address, or an IPv6 address without brackets. */
const HOST = /^([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/;
const CHANNEL = /^[A-Za-z0-9_.-]*$/;
const ABSOLUTE_PATH_OR_NONE = /^(\/[A-Za-z0-9_.+@=/-]*)?$/;
/** Database and table names as replication filters take them: with % and escapes, without quotes, commas and spaces. */
const FILTER = /^[A-Za-z0-9_$%.\\-]+$/;
const HTTP_URL = /^https?:\/\/[A-Za-z0-9.:[\]_-]+(\/[A-Za-z0-9._~/-]*)?$/;
const QUANTITY = /^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$/;
const QUANTITY_OR_NONE = /^([0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)?$/;

const port = z.int().min(1).max(65_535);
const host = z.string().min(1).max(253).regex(HOST);
const objectName = z.string().min(1).max(253).regex(OBJECT_NAME);
const optionalName = z.string().max(253).regex(OBJECT_NAME_OR_NONE).default('');
const optionalPath = z.string().max(1024).regex(ABSOLUTE_PATH_OR_NONE).default('');

export const Tls = z.object({
  mode: z.enum(TLS_MODES).default('Preferred'),
  caSecretName: optionalName.describe('Secret whose key ca.crt holds the CA in PEM; empty: the CAs of the image.'),
});
export type Tls = z.infer<typeof Tls>;

export const Vip = z.object({ host, port: port.default(3306) });
export type Vip = z.infer<typeof Vip>;

export const MemberMatch = z.object({
  hostname: z.string().max(253).default('').describe('@@hostname of this member; empty: not compared.'),
  serverId: z.int().min(0).max(4_294_967_295).default(0).describe('@@server_id of this member; 0: not compared.'),
});
export type MemberMatch = z.infer<typeof MemberMatch>;

const MemberInput = z.object({
  name: z.string().min(1).max(63).regex(NAME).describe('Unique; used in status, metrics and events.'),
  host: host.describe('An IP is preferred; a name is resolved by mxr and never given to MariaDB.'),
  port: port.optional().describe('Default: vip.port.'),
  publisher: z
    .object({ url: z.string().max(512).regex(HTTP_URL).describe('For example https://10.0.0.11:9480.') })
    .optional()
    .describe('`mxr publisher` beside this member: one more witness, needed where only the VIP is routed.'),
  match: MemberMatch.optional().describe('Tells the members apart where only the VIP is routed.'),
});
type MemberInput = z.infer<typeof MemberInput>;
/** A member as the program sees it: the port is always there. */
export interface MemberSpec extends Omit<MemberInput, 'port'> {
  port: number;
}

const SourceInput = z.object({
  vip: Vip.describe('The virtual IP that keepalived (or anything else) moves.'),
  members: z
    .array(MemberInput)
    .max(9)
    .default([])
    // Not a map by name: server-side apply would refuse a name given twice in words of its own, before any rule.
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .describe('The servers behind the VIP, each under an address of its own; the same account works on each.'),
  topology: z.enum(TOPOLOGIES).default('Auto'),
  credentials: z
    .object({ secretName: objectName })
    .describe('Secret with username, password (looks) and replicationUsername, replicationPassword (for the links).'),
  tls: Tls.prefault({}).describe("TLS of mxr's own sessions."),
  publisherAuth: z
    .object({ secretName: objectName })
    .optional()
    .describe('Secret with the key token, and ca.crt where the CA is not that of tls.caSecretName.'),
});
type SourceInput = z.infer<typeof SourceInput>;

function addressOf(source: SourceInput, member: MemberInput): string {
  return `${member.host.toLowerCase()} ${member.port ?? source.vip.port}`;
}

const CEL_ADDRESS = (member: string): string => `(has(${member}.port) ? ${member}.port : self.vip.port)`;

export const Source = withRules(SourceInput, [
  {
    cel: 'size(self.members) > 0',
    message:
      'source.members is empty: list each MariaDB behind the VIP under its own address, for example members: [{name: db-a, host: 10.0.0.11}, {name: db-b, host: 10.0.0.12}]',
    holds: (source) => source.members.length > 0,
  },
  {
    cel: 'self.members.all(a, self.members.exists_one(b, a.name == b.name))',
    message: 'two entries of source.members have the same name: give each member a name of its own',
    holds: (source) => new Set(source.members.map((member) => member.name)).size === source.members.length,
  },
  {
    cel: `self.members.all(a, self.members.exists_one(b, a.host.lowerAscii() == b.host.lowerAscii() && ${CEL_ADDRESS('a')} == ${CEL_ADDRESS('b')}))`,
    message: 'two entries of source.members have the same host and port: give each member its own address',
    holds: (source) =>
      new Set(source.members.map((member) => addressOf(source, member))).size === source.members.length,
  },
  {
    cel: `!self.members.exists(a, a.host.lowerAscii() == self.vip.host.lowerAscii() && ${CEL_ADDRESS('a')} == self.vip.port)`,
    message:
      'a member has the address of the VIP: write the address that stays with the server when the VIP moves; where only the VIP is routed, tell members apart with match',
    holds: (source) =>
      !source.members.some(
        (member) => addressOf(source, member) === `${source.vip.host.toLowerCase()} ${source.vip.port}`,
      ),
  },
  {
    cel: "!(self.topology in ['DualPrimary', 'PrimaryStandby']) || size(self.members) != 1",
    message:
      'topology DualPrimary and PrimaryStandby need two members: list the other one too, or write topology: Auto',
    holds: ({ topology, members }) =>
      (topology !== 'DualPrimary' && topology !== 'PrimaryStandby') || members.length !== 1,
  },
]).transform((source) => ({
  ...source,
  members: source.members.map((member): MemberSpec => ({ ...member, port: member.port ?? source.vip.port })),
}));
export type Source = z.output<typeof Source>;

const LabelKey = z.string().min(1).max(317);
export const LabelSelector = withRules(
  z.object({
    matchLabels: z.record(LabelKey, z.string().max(63)).default({}).meta({ maxProperties: 32 }),
    matchExpressions: z
      .array(
        z.object({
          key: LabelKey,
          operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
          values: z.array(z.string().max(63)).max(64).default([]),
        }),
      )
      .max(16)
      .default([]),
  }),
  [
    {
      cel: 'size(self.matchLabels) + size(self.matchExpressions) > 0',
      message:
        'replicas.selector is empty and would select every pod: write the labels of the replicas, for example matchLabels: {app: orders-replica}',
      holds: (selector) => Object.keys(selector.matchLabels).length + selector.matchExpressions.length > 0,
    },
  ],
);
export type LabelSelector = z.infer<typeof LabelSelector>;

/** Kubernetes writes a quantity as a string or as a bare number. */
const quantity = z
  .union([z.int().min(0), z.string().max(32).regex(QUANTITY)])
  .meta({ 'x-kubernetes-int-or-string': true });
const quantities = z.record(z.string().min(1).max(63), quantity).default({}).meta({ maxProperties: 16 });

export const StatefulSetSpec = z.object({
  replicas: z.int().min(1).max(100).default(3),
  image: z.string().min(1).max(512),
  storage: z.object({ size: z.string().max(32).regex(QUANTITY), storageClassName: optionalName }),
  resources: z.object({ limits: quantities, requests: quantities }).prefault({}),
  config: z.string().max(65_536).default('').describe('Added to the configuration of the server.'),
});
export type StatefulSetSpec = z.infer<typeof StatefulSetSpec>;

export const Replicas = withRules(
  z.object({
    selector: LabelSelector.optional().describe('Existing pods, whoever made them.'),
    statefulSet: StatefulSetSpec.optional().describe('Replicas that mxr makes itself.'),
    port: port.default(3306),
    credentials: z.object({ secretName: objectName }).describe('Secret with username and password on the replicas.'),
    tls: Tls.prefault({}).describe("TLS of mxr's sessions to the replicas."),
    localWrites: z
      .enum(['Forbidden', 'Allowed'])
      .default('Forbidden')
      .describe('Forbidden keeps read_only=1; Allowed: services may write to databases of their own.'),
  }),
  [
    {
      cel: 'has(self.selector) || has(self.statefulSet)',
      message:
        'replicas names no pods: write selector (pods that exist, for example selector: {matchLabels: {app: orders-replica}}) or statefulSet (pods that mxr makes)',
      holds: ({ selector, statefulSet }) => selector !== undefined || statefulSet !== undefined,
    },
    {
      cel: '!(has(self.selector) && has(self.statefulSet))',
      message: 'replicas has both selector and statefulSet: keep the one you mean and remove the other',
      holds: ({ selector, statefulSet }) => selector === undefined || statefulSet === undefined,
    },
    {
      cel: '(has(self.selector) && has(self.statefulSet)) || has(self.selector) == has(oldSelf.selector)',
      message:
        'replicas cannot be changed between selector and statefulSet: create another MariaDBExternalReplica for the other kind and delete this one',
    },
  ],
);
export type Replicas = z.infer<typeof Replicas>;

const databases = texts(64, 64, FILTER);
const tables = texts(64, 130, FILTER);
export const Filters = z.object({
  doDb: databases,
  ignoreDb: databases,
  doTable: tables,
  ignoreTable: tables,
  wildDoTable: tables,
  wildIgnoreTable: tables,
});
export type Filters = z.infer<typeof Filters>;

export const LinkTls = z
  .object({
    mode: z.enum(TLS_MODES).default('Preferred'),
    caFile: optionalPath,
    certFile: optionalPath,
    keyFile: optionalPath,
  })
  .describe("TLS of the replicas' links; paths inside the replica's container.");
export type LinkTls = z.infer<typeof LinkTls>;

const channel = withRules(z.string().max(64).regex(CHANNEL).default(''), [
  {
    cel: 'self == oldSelf',
    message:
      'link.channel cannot be changed: write the old value back, or create another MariaDBExternalReplica with the new channel',
  },
]).describe('MariaDB connection name; other channels of a replica are never touched.');

export const LinkSpec = withRules(
  z.object({
    through: z.enum(LINK_THROUGH).default('Auto').describe('The MASTER_HOST given to the replicas.'),
    positioning: z.enum(POSITIONINGS).default('Auto').describe('Auto is GTID; file/position replicas are converted.'),
    channel,
    connectRetrySeconds: z.int().min(1).max(3600).default(1),
    heartbeatSeconds: z.int().min(1).max(3600).default(2),
    netTimeoutSeconds: z.int().min(2).max(3600).default(8),
    tls: LinkTls.prefault({}),
    filters: Filters.prefault({}).describe('With selector: checked, never set. With statefulSet: configured.'),
  }),
  [
    {
      cel: 'self.heartbeatSeconds < self.netTimeoutSeconds',
      message:
        'link.heartbeatSeconds must be smaller than link.netTimeoutSeconds, or every calm link is cut: write for example heartbeatSeconds: 2 and netTimeoutSeconds: 8',
      holds: (link) => link.heartbeatSeconds < link.netTimeoutSeconds,
    },
  ],
);
export type LinkSpec = z.infer<typeof LinkSpec>;

export const Detection = z.object({
  probeIntervalMs: z.int().min(100).max(60_000).default(500),
  probeTimeoutMs: z.int().min(100).max(30_000).default(1000),
  holdDownSeconds: z
    .int()
    .min(0)
    .max(3600)
    .default(0)
    .describe('How long a holder must be proven before a link is changed.'),
});
export type Detection = z.infer<typeof Detection>;

export const Policy = z.object({
  handover: z.enum(['Auto', 'Confirm', 'Observe']).default('Auto'),
  onGap: z.enum(['Halt', 'Fill', 'Reseed']).default('Halt'),
  onDivergence: z.enum(['Halt', 'Reseed']).default('Halt'),
  onPurged: z.enum(['Halt', 'Reseed']).default('Halt'),
  onSplitBrain: z.enum(['Confirm', 'Resume']).default('Confirm'),
  minServing: z.int().min(0).max(100).default(1).describe('Never reseed below this many pods that serve.'),
});
export type Policy = z.infer<typeof Policy>;

export const Reseed = z.object({
  method: z.enum(['Auto', 'Dump', 'Physical']).default('Auto'),
  from: z.enum(['Auto', 'Sibling', 'Standby', 'Holder']).default('Auto'),
  bandwidthLimit: z.string().max(32).regex(QUANTITY_OR_NONE).default('').describe('Bytes per second, e.g. 50Mi.'),
  salvage: z.object({ pvc: optionalName }).prefault({}),
});
export type Reseed = z.infer<typeof Reseed>;

export const Serving = z.object({
  maxStalenessSeconds: z.int().min(0).max(604_800).default(0).describe('0: no limit. A pod over it serves no reads.'),
});
export type Serving = z.infer<typeof Serving>;

export const Spec = z.object({
  source: Source,
  replicas: Replicas,
  link: LinkSpec.prefault({}),
  detection: Detection.prefault({}),
  policy: Policy.prefault({}),
  reseed: Reseed.prefault({}),
  serving: Serving.prefault({}),
  suspend: z.boolean().default(false).describe('Look, and do nothing.'),
});
export type Spec = z.output<typeof Spec>;
