import { z } from 'zod';

/** What several parts of the status are made of. */

export const time = z.iso.datetime({ offset: true });
export const count = z.int().min(0);
/** File offsets and sizes stay far below 2^53. */
export const bytes = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
export const serverId = z.int().min(0).max(4_294_967_295);
export const gtid = z.string();
export const file = z.string();

export function listMap(key: string): Record<string, unknown> {
  return { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] };
}

export const Coordinates = z.object({ file, position: bytes });
export type Coordinates = z.infer<typeof Coordinates>;

/** Where a replica was or is, for people: each part where it is known. */
export const Place = z.object({ file: file.optional(), position: bytes.optional(), gtid: gtid.optional() });
export type Place = z.infer<typeof Place>;

export const Identity = z.object({
  hostname: z.string(),
  serverId,
  serverUid: z.string().describe('Empty where the version has none (10.5).'),
  startedAt: time,
  port: z.int().optional(),
  datadir: z.string().optional(),
});
export type Identity = z.infer<typeof Identity>;

export const Transactions = z.object({
  count: count.optional().describe('Absent when it cannot be told.'),
  firstAt: time.optional(),
  lastAt: time.optional(),
  bytes: bytes.optional(),
  atLeast: z
    .boolean()
    .optional()
    .describe(
      'True: there are more than were read (a bound was reached, the first ones are purged, or more are written).',
    ),
  gtids: z.array(gtid).max(20).default([]).describe('The first and the last ten.'),
});
export type Transactions = z.infer<typeof Transactions>;
