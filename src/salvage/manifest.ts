import { z } from 'zod';

/** Beside each saved file: what it is. Written last, so a file without one is not finished. */
export const Manifest = z.object({
  version: z.literal(1),
  /** Names the set of transactions: what is saved already is not saved again. */
  set: z.string(),
  namespace: z.string(),
  name: z.string(),
  pod: z.string(),
  /** The server that has them. */
  server: z.object({ hostname: z.string(), serverId: z.number(), serverUid: z.string(), startedAt: z.string() }),
  verdict: z.string(),
  savedAt: z.string(),
  count: z.number(),
  first: z.string(),
  last: z.string(),
  firstAt: z.string(),
  lastAt: z.string(),
  /** The first and the last ten. */
  gtids: z.array(z.string()),
  /** Whether these are all that only this server has, as far as its binlog told. */
  complete: z.boolean(),
  file: z.string(),
  bytes: z.number(),
  sha256: z.string(),
  /** The same as readable SQL; null: why is in `readableError`. */
  readable: z.string().nullable(),
  readableError: z.string().optional(),
});
export type Manifest = z.infer<typeof Manifest>;

/** Larger than any that mxr writes. */
export const MAX_MANIFEST_BYTES = 64 * 1024;

export function parseManifest(text: string): Manifest | null {
  try {
    const parsed = Manifest.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
