import { z } from 'zod';
import { Filters } from '../../../src/api/spec.ts';

/**
 * The words of a scenario file. A phase says what is seen; what it does not name stays as in the phase before. Places are
 * written `file:position`, GTIDs as MariaDB prints them.
 */
const place = z.string().regex(/^[^:]*:\d+$/);
const gtid = z.string();
/** Minutes after which the server was started; each number is another life. */
const life = z.int().min(0);
/** A `.pos` file of older scripts; `ago`: seconds by the clock of its host, before the publisher looked at its database last. */
const posFile = z.strictObject({ at: place, ago: z.number().default(1) });

export const Member = z
  .strictObject({
    serverId: z.int(),
    logSlaveUpdates: z.boolean(),
    readOnly: z.boolean(),
    /** gtid_binlog_state. */
    logged: gtid,
    /** gtid_slave_pos: what it applied from another server. */
    applied: gtid,
    /** SHOW MASTER STATUS. */
    end: place,
    /** What its binlog is called; by default after its name. */
    binlog: z.string(),
    /** Binlog files that are still there with their sizes; the file of `end` is added. */
    files: z.record(z.string(), z.int()),
    /** Its link to another member; null: none. */
    follows: z
      .strictObject({
        member: z.string(),
        mode: z.enum(['GTID', 'File']).default('GTID'),
        exec: place.optional(),
        read: place.optional(),
        io: z.enum(['Yes', 'No', 'Connecting']).default('Yes'),
        sql: z.enum(['Yes', 'No']).default('Yes'),
        ioError: z.string().optional(),
        /** As SHOW SLAVE STATUS prints them. */
        filters: z.record(z.string(), z.string()).default({}),
        /** Gtid_IO_Pos; by default all of it is applied. */
        received: gtid.optional(),
        drained: z.boolean().default(true),
      })
      .nullable(),
    started: life,
    /** Not null: it does not answer, with this code. */
    down: z.string().nullable(),
    match: z.strictObject({ hostname: z.string().default(''), serverId: z.int().default(0) }),
    /** What its publisher says; by default the truth, a moment ago. Null: it has none. */
    publisher: z
      .strictObject({
        holds: z.boolean().nullable(),
        /** The member that it runs beside, by its own words. */
        beside: z.string(),
        /** The server that it speaks of. */
        of: z.string(),
        /** The life of that server. */
        started: life,
        /** Seconds since it looked at its database. */
        age: z.number(),
        databaseAnswers: z.boolean(),
        /** Its takeover record; by default there is none. What it does not say is as the server is now. */
        takeover: z.strictObject({
          /** The member that it followed. */
          of: z.string(),
          end: place.optional(),
          logged: gtid.optional(),
          applied: gtid.optional(),
          exec: place,
          mode: z.enum(['GTID', 'File']).default('GTID'),
          drained: z.boolean().default(true),
          /** Seconds by the clock of its host, before it looked at its database last. */
          ago: z.number().default(1),
        }),
        /** The `.pos` files that it reads; by default there are none. */
        imported: z.strictObject({ masterEnd: posFile.optional(), slaveEnd: posFile.optional() }),
        /** Hours by which the clock of its host is wrong. */
        clock: z.number(),
        /** It does not answer, with this code. */
        down: z.string(),
      })
      .partial()
      .nullable(),
  })
  .partial();
export type Member = z.infer<typeof Member>;

export const Replica = z
  .strictObject({
    /** Who really feeds it: the name of a member or of another replica, or null. */
    on: z.string().nullable(),
    /** Seconds since when that server feeds it without a break. */
    fedFor: z.int(),
    /** What its link dials: a member's or another replica's name, or `vip`; by default who feeds it. Null: it has no link. */
    dials: z.string().nullable(),
    /** gtid_slave_pos. */
    gtid,
    /** Gtid_IO_Pos; by default all of it is applied. */
    received: gtid,
    exec: place,
    read: place,
    /** MASTER_DELAY in seconds. */
    delay: z.int(),
    mode: z.enum(['GTID', 'File']),
    io: z.enum(['Yes', 'No', 'Connecting']),
    sql: z.enum(['Yes', 'No']),
    /** Parallel workers, who have been handed all that was received. */
    workers: z.int(),
    ioError: z.string(),
    sqlError: z.string(),
    logSlaveUpdates: z.boolean(),
    /** As SHOW SLAVE STATUS prints them: `Replicate_Do_DB: orders`. */
    filters: z.record(z.string(), z.string()),
    /** gtid_binlog_state; by default what it applied. */
    logged: gtid,
    started: life,
    down: z.string().nullable(),
    /** Its pod has no address yet. */
    pending: z.boolean(),
    /** What mxr is doing to it now, and for how many seconds. */
    busy: z.strictObject({ what: z.string(), seconds: z.int() }).nullable(),
    /** What an open handover wants of it; `life`: the start of it that the plan had seen. */
    intended: z
      .strictObject({
        member: z.string(),
        gtid,
        at: place.optional(),
        life: life.optional(),
        /** It is filled first: by a member, another replica or `files of a`, up to this position. */
        fill: z.strictObject({ by: z.string(), upTo: gtid, started: life.default(0) }).optional(),
      })
      .nullable(),
    /** How its link ends by itself, as SHOW SLAVE STATUS names it. */
    until: z.string().nullable(),
  })
  .partial();
export type Replica = z.infer<typeof Replica>;

/** Who answers at the VIP: a member, a server that is none of them, or nobody. */
export const Vip = z.union([
  z.string(),
  z.strictObject({ stranger: z.string() }),
  z.strictObject({ silent: z.string(), probes: z.int().default(2) }),
  /** Fresh connections end on these members in turn. */
  z.strictObject({ inTurn: z.array(z.string()) }),
]);
export type Vip = z.infer<typeof Vip>;

export const Answer = z.discriminatedUnion('ask', [
  z.strictObject({ ask: z.literal('Rehearsal'), of: z.string(), accepted: place, next: gtid.optional() }),
  z.strictObject({ ask: z.literal('Refusal'), of: z.string(), refused: z.string() }),
  z.strictObject({ ask: z.literal('GtidAt'), of: z.string(), at: place.optional(), gtid: gtid.nullable() }),
  z.strictObject({
    ask: z.literal('Walk'),
    of: z.string(),
    transactions: z.array(gtid),
    /** By GTID: the tables whose rows it changes; without all these the transactions are statements. */
    tables: z.record(gtid, z.array(z.string())).optional(),
    cut: z.enum(['bytes', 'time']).optional(),
  }),
  z.strictObject({
    ask: z.literal('Span'),
    of: z.string(),
    /** `0-1-7 to 0-1-12` */
    runs: z.array(gtid).default([]),
    refused: z.string().optional(),
    cut: z.enum(['bytes', 'time', 'runs']).optional(),
  }),
  z.strictObject({
    /** Of the binlog files of a member. */
    ask: z.literal('Files'),
    of: z.string(),
    /** Why they do not do. */
    refused: z.string().optional(),
    /** What had survived at each start of the server in between. */
    starts: z.array(gtid).default([]),
  }),
  z.strictObject({
    ask: z.literal('FileHeader'),
    of: z.string(),
    file: z.string().optional(),
    list: gtid,
    byServerStart: z.boolean().default(false),
    /** Minutes. */
    created: z.int().default(0),
  }),
  z.strictObject({
    ask: z.literal('Transaction'),
    of: z.string(),
    gtid: gtid.optional(),
    content: z.string().nullable(),
    kind: z.string().default('row'),
  }),
  z.strictObject({ ask: z.literal('Logged'), of: z.string(), transactions: z.array(gtid) }),
  z.strictObject({ ask: z.literal('Relayed'), of: z.string(), first: gtid }),
  z.strictObject({ ask: z.literal('RelayRest'), of: z.string(), rest: z.enum(['Whole', 'Half']) }),
  z.strictObject({ ask: z.literal('RelayNext'), of: z.string(), next: gtid.nullable() }),
  z.strictObject({ ask: z.literal('OwnWrites'), of: z.string(), wrote: gtid.nullable() }),
  z.strictObject({ ask: z.literal('FailedRows'), of: z.string(), keys: z.array(z.string()) }),
  z.strictObject({ ask: z.literal('LiveLook') }),
  /** Whatever is asked of it cannot be asked. */
  z.strictObject({ ask: z.literal('Failure'), of: z.string(), code: z.string() }),
]);
export type Answer = z.infer<typeof Answer>;

export const ExpectedReplica = z.strictObject({
  verdict: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  /** Of the plan; absent: none may be made. */
  steps: z.array(z.string()).optional(),
  proof: z.string().optional(),
  to: z.string().optional(),
  /** By GTID, or at this place of the target. */
  attach: z.string().optional(),
  transactions: z.array(z.string()).optional(),
  serves: z.boolean().optional(),
});

export type ExpectedReplica = z.infer<typeof ExpectedReplica>;

export const Phase = z.strictObject({
  say: z.string(),
  vip: Vip.optional(),
  members: z.record(z.string(), Member).optional(),
  replicas: z.record(z.string(), Replica).optional(),
  answers: z.array(Answer).optional(),
  /** Seconds that pass before it. */
  after: z.int().default(0),
  /** So many looks, one each second; the last one is what counts. */
  looks: z.int().min(1).default(5),
  /** Replicas whose link has an account that was changed since. */
  relink: z.array(z.string()).default([]),
  /** A new process of mxr: it knows what the status says. */
  newProcess: z.boolean().default(false),
  gates: z
    .strictObject({
      handover: z.enum(['Auto', 'Confirm', 'Observe']).default('Auto'),
      suspend: z.boolean().default(false),
      holdDownSeconds: z.int().default(0),
      /** The id that the phase before printed. */
      approve: z.boolean().default(false),
    })
    .optional(),
  expect: z.strictObject({
    situation: z.string(),
    holder: z.string().nullable().optional(),
    replicas: z.record(z.string(), ExpectedReplica),
    /** Questions that are asked and have no answer in the file: `Rehearsal b`. */
    questions: z.array(z.string()).default([]),
    conditions: z.record(z.string(), z.string()).default({}),
  }),
});
export type Phase = z.infer<typeof Phase>;

export const Scenario = z.strictObject({
  title: z.string(),
  why: z.string(),
  /** A phase of beginnings.yaml with which everything is well; `nothing`: mxr sees everything for the first time. */
  begin: z.string().default('calm'),
  policy: z
    .strictObject({
      positioning: z.enum(['GTID', 'FilePosition']).default('GTID'),
      topology: z.enum(['Auto', 'PrimaryStandby', 'DualPrimary', 'SharedStorage']).default('Auto'),
      through: z.enum(['Auto', 'Member', 'VIP']).default('Auto'),
      onSplitBrain: z.enum(['Confirm', 'Resume']).default('Confirm'),
      onGap: z.enum(['Halt', 'Fill', 'Reseed']).default('Halt'),
      /** Replicas can dial `mxr`, to be filled from binlog files. */
      fillsFromFiles: z.boolean().default(false),
      filters: Filters.prefault({}),
    })
    .prefault({}),
  phases: z.array(Phase).min(1),
});
export type Scenario = z.infer<typeof Scenario>;
