import { z } from 'zod';
import { isMxrError } from '../errors.ts';
import { malformed, statusError } from './errors.ts';
import type { CallName } from './errors.ts';
import { BookmarkObject, ListPage, WatchLine } from './objects.ts';
import type { ObjectMeta } from './objects.ts';
import type { Transport } from './transport.ts';

export interface Listed<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
}

export type WatchEvent<T> =
  | { readonly type: 'Put' | 'Deleted'; readonly object: T; readonly resourceVersion: string }
  | { readonly type: 'Bookmark'; readonly resourceVersion: string };

export interface WatchOptions {
  readonly resourceVersion: string;
  /** The watch ends after so much silence. */
  readonly inactivityMs: number;
  /** The server is asked to close the watch after so long. */
  readonly lifetimeMs: number;
  readonly signal: AbortSignal;
}

export interface HasMeta {
  readonly metadata: ObjectMeta;
}

/** What an informer needs of one collection. */
export interface ListWatch<T extends HasMeta> {
  readonly target: string;
  list(signal?: AbortSignal): Promise<Listed<T>>;
  /** Returns when the watch was closed or silent; rejects with MxrError on all else, an expired version included. */
  watch(options: WatchOptions): AsyncGenerator<WatchEvent<T>, void>;
}

export interface Collection<T extends HasMeta> {
  readonly path: string;
  /** For messages: `pods of namespace orders`. */
  readonly target: string;
  readonly schema: z.ZodType<T>;
  readonly labelSelector?: string | undefined;
}

const PAGE_SIZE = '500';

export function listWatch<T extends HasMeta>(transport: Transport, collection: Collection<T>): ListWatch<T> {
  const { path, target, schema, labelSelector } = collection;
  const listCall: CallName = { operation: 'list', target };
  const watchCall: CallName = { operation: 'watch', target };

  async function pages(signal: AbortSignal | undefined): Promise<Listed<T>> {
    const items: T[] = [];
    let next: string | undefined;
    for (;;) {
      const query = { limit: PAGE_SIZE, labelSelector, continue: next };
      const answer = await transport.call({ ...listCall, method: 'GET', path, query, signal });
      const page = parsed(listCall, ListPage, answer, 'a list');
      for (const item of page.items) items.push(parsed(listCall, schema, item, `a list of ${target}`));
      if (page.metadata.continue === undefined || page.metadata.continue === '') {
        return { items, resourceVersion: page.metadata.resourceVersion };
      }
      next = page.metadata.continue;
    }
  }

  async function* watch(options: WatchOptions): AsyncGenerator<WatchEvent<T>, void> {
    const { resourceVersion, inactivityMs, lifetimeMs, signal } = options;
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(Math.ceil(lifetimeMs / 1000)),
      resourceVersion,
      labelSelector,
    };
    for await (const line of transport.stream({ ...watchCall, path, query, inactivityMs, signal })) {
      yield eventOf(watchCall, schema, line);
    }
  }

  async function list(signal?: AbortSignal): Promise<Listed<T>> {
    try {
      return await pages(signal);
    } catch (error) {
      // 410: the continue token of a long list expired between two pages. A second expiry is the caller's to retry.
      if (isMxrError(error, 'KubeUnavailable') && error.detail.includes('410')) return pages(signal);
      throw error;
    }
  }

  return { target, list, watch };
}

function eventOf<T extends HasMeta>(call: CallName, schema: z.ZodType<T>, line: unknown): WatchEvent<T> {
  const { type, object } = parsed(call, WatchLine, line, 'a watch event');
  if (type === 'ERROR') {
    const code = z.object({ code: z.number() }).safeParse(object).data?.code ?? 500;
    throw statusError(call, code, object);
  }
  if (type === 'BOOKMARK') {
    const { resourceVersion } = parsed(call, BookmarkObject, object, 'a bookmark').metadata;
    return { type: 'Bookmark', resourceVersion };
  }
  const item = parsed(call, schema, object, `one of ${call.target}`);
  const { resourceVersion } = item.metadata;
  return { type: type === 'DELETED' ? 'Deleted' : 'Put', object: item, resourceVersion };
}

export function parsed<T>(call: CallName, schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (!result.success) throw malformed(call, `${what} (${result.error.issues[0]?.path.map(String).join('.') ?? ''})`);
  return result.data;
}
