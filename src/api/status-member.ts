import { z } from 'zod';

import {
  bytes,
  Coordinates,
  count,
  file,
  gtid,
  Identity,
  listMap,
  serverId,
  time,
  Transactions,
} from './status-parts.ts';

/** What is known of one member, and what mxr remembers of it. */

export const BinlogFile = z.object({
  name: file,
  createdAt: time.optional().describe('From its Format_description event.'),
  size: bytes.describe('The largest size seen.'),
});
export type BinlogFile = z.infer<typeof BinlogFile>;

/** The last look at a member while it replicated from another one. */
export const LastStandby = z.object({
  at: time,
  file: file.describe('Its own binlog.'),
  position: bytes,
  gtidBinlogPos: gtid,
  gtidBinlogState: gtid,
  gtidSlavePos: gtid,
  usingGtid: z.boolean(),
  sourceHost: z.string(),
  sourceServerId: serverId,
  applied: Coordinates.describe('What it had applied, as coordinates of its source.'),
  drained: z.boolean(),
});
export type LastStandby = z.infer<typeof LastStandby>;

export const MemberStatus = z.object({
  name: z.string(),
  reachable: z.boolean(),
  holdsVip: z.boolean().optional(),
  readOnly: z.boolean().optional(),
  serverId: serverId.optional(),
  version: z.string().optional(),
  gtidBinlogPos: gtid.optional(),
  gtidSlavePos: gtid.optional(),
  file: file.optional(),
  position: bytes.optional(),
  oldestFile: file.optional(),
  logSlaveUpdates: z.boolean().optional(),
  applying: z.boolean().optional(),
  startedAt: time.optional(),
  lineage: z.string().optional(),
  inQuestion: z.boolean().optional().describe('It restarted, and its lineage is not proven to go on yet.'),
  broken: z
    .object({
      reason: z.enum(['LostTail', 'LineageChanged']),
      message: z.string(),
      survived: gtid.optional().describe('Of a lost tail: all that was left, per domain and server id.'),
    })
    .optional()
    .describe('Why this lineage is not the one that mxr knew before.'),
  restart: z
    .object({
      file,
      survived: gtid.describe('All that it had logged by then, per domain and server id.'),
      later: z.array(gtid).max(8).optional().describe('The same of each further start that nobody watched.'),
    })
    .optional()
    .describe('The last restart that was proven to go on with the same history, and the file that it began.'),
  unwatched: z
    .object({ gtids: gtid, at: time })
    .optional()
    .describe('What it logged itself while no process of mxr looked.'),
  tookIn: z
    .object({ between: z.array(gtid).max(2), at: time })
    .optional()
    .describe('Its own transactions around numbers that its binlog lacks: it applied something and does not log that.'),
  mixed: z
    .object({
      from: Coordinates,
      before: gtid,
      through: Coordinates,
      until: Coordinates,
      first: z.boolean(),
      order: z.boolean(),
    })
    .optional()
    .describe('A part of its binlog with transactions of its own that is still to be read.'),
  errant: z
    .array(z.object({ first: gtid, last: gtid }))
    .max(64)
    .default([])
    .describe('Its own transactions that the other members are not known to have.'),
  sharedStorage: z
    .object({
      tenure: count.describe('Grows each time another host takes the storage over.'),
      from: z.string().optional().describe('The member whose history it goes on with, until that is proven.'),
    })
    .optional()
    .describe('Another member runs on the same data directory, one at a time: declared, or found out.'),
  besideAt: time
    .optional()
    .describe('When it ran beside another member although topology is SharedStorage: they are two servers since.'),
  identity: Identity.optional().describe('Of the incarnation that the lineage was last proven for.'),
  logBinBasename: z.string().optional(),
  binlogState: gtid.optional(),
  files: z.array(BinlogFile).max(64).default([]).meta(listMap('name')),
  lastStandby: LastStandby.optional(),
  ownTransactions: Transactions.optional().describe('What only this member has.'),
  publisher: z
    .object({
      reachable: z.boolean(),
      vipHeld: z.boolean().optional(),
      observedAt: time.optional().describe('When it had looked at its database last.'),
      message: z.string().optional().describe('Why it is not reachable.'),
    })
    .optional(),
  observedAt: time.optional().describe('When these facts were read; older than now while it does not answer.'),
  message: z.string().default(''),
});
export type MemberStatus = z.infer<typeof MemberStatus>;
