import type { FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import { z } from 'zod';
import type { PublishedBinlog } from '../api/publisher.ts';
import { sleep } from '../clock.ts';
import type { Clock } from '../clock.ts';
import type { BinlogConfig } from '../config.ts';
import { sendText } from '../ops/http.ts';
import type { Logger } from '../ops/log.ts';
import { listBinlogFiles, openBinlogFile } from './binlog-files.ts';
import { systemCode } from '../errors.ts';

export interface BinlogDownloads {
  list(request: Request, response: Response): Promise<void>;
  send(request: Request, response: Response): Promise<void>;
  /** Ends every download, for example because the token is another one. */
  end(): void;
}

export interface BinlogDownloadOptions {
  /** Null: nobody asked for it. */
  readonly binlog: BinlogConfig | null;
  readonly clock: Clock;
  readonly log: Logger;
}

const MAX_DOWNLOADS = 4;
const MAX_LISTS = 2;
const CHUNK = 256 * 1_024;
/** Reading the head of a file is nothing to write down. */
const WORTH_A_LINE = 1_048_576;

const offset = z
  .string()
  .regex(/^\d{1,15}$/u)
  .transform(Number);
const Query = z.object({ from: offset.default(0), length: offset.pipe(z.number().min(1)).optional() });

/** GET /v1/binlog and /v1/binlog/<name>: read only, only binlog files, a few at once and not faster than allowed. */
export function createBinlogDownloads(options: BinlogDownloadOptions): BinlogDownloads {
  return new AllDownloads(options);
}

class AllDownloads implements BinlogDownloads {
  readonly #options: BinlogDownloadOptions;
  readonly #open = new Set<Response>();
  readonly #pace: (bytes: number) => Promise<void>;
  #lists = 0;

  constructor(options: BinlogDownloadOptions) {
    this.#options = options;
    this.#pace = pacer(options.binlog?.bytesPerSecond ?? 1, options.clock);
  }

  async list(_request: Request, response: Response): Promise<void> {
    const { binlog } = this.#options;
    if (binlog === null) return sendText(response, 404, NOT_SERVED);
    if (this.#lists >= MAX_LISTS) return sendBusy(response, `${MAX_LISTS} lists`);
    this.#lists += 1;
    try {
      response.json({ files: await listBinlogFiles(binlog) } satisfies PublishedBinlog);
    } catch (error) {
      this.#fail(response, error);
    } finally {
      this.#lists -= 1;
    }
  }

  async send(request: Request, response: Response): Promise<void> {
    const { binlog } = this.#options;
    if (binlog === null) return sendText(response, 404, NOT_SERVED);
    const query = Query.safeParse(request.query);
    if (!query.success) return sendText(response, 400, 'from and length must be whole numbers');
    if (this.#open.size >= MAX_DOWNLOADS) return sendBusy(response, `${MAX_DOWNLOADS} downloads`);
    this.#open.add(response);
    try {
      await this.#sendFile(binlog, request, response, query.data);
    } catch (error) {
      this.#fail(response, error);
    } finally {
      this.#open.delete(response);
    }
  }

  end(): void {
    for (const response of this.#open) response.destroy();
  }

  async #sendFile(
    binlog: BinlogConfig,
    request: Request,
    response: Response,
    { from, length }: z.output<typeof Query>,
  ): Promise<void> {
    const name = String(request.params['name']);
    const file = await openBinlogFile(binlog, name);
    if (file === null) return sendText(response, 404, 'there is no such binlog file');
    try {
      if (file.encrypted) return sendText(response, 409, ENCRYPTED);
      if (from > file.size) return sendText(response, 416, `the file has ${file.size} bytes`);
      const bytes = Math.min(length ?? Number.POSITIVE_INFINITY, file.size - from);
      response.status(200).setHeader('content-type', 'application/octet-stream').setHeader('content-length', bytes);
      if (request.method === 'HEAD') return void response.end();
      const peer = request.socket.remoteAddress;
      if (bytes >= WORTH_A_LINE) this.#options.log.info('a binlog file is read', { file: name, from, bytes, peer });
      await pipeline(piecesOf(file.handle, from, bytes, this.#pace), response);
    } finally {
      await file.handle.close();
    }
  }

  /** A reader that went away is its own affair. */
  #fail(response: Response, error: unknown): void {
    if (response.destroyed) return;
    const code = systemCode(error) ?? 'unknown';
    this.#options.log.error('a binlog file could not be read', { error });
    if (response.headersSent) response.destroy();
    else if (code === 'EACCES' || code === 'EPERM') sendText(response, 500, NOT_ALLOWED);
    else sendText(response, 500, `the binlog files cannot be read (${code})`);
  }
}

const NOT_SERVED = 'binlog files are not served here: MXR_PUBLISHER_BINLOG is not set';
const ENCRYPTED =
  'this file is encrypted (encrypt_binlog): only its own server has the keys, so replicas cannot be filled from it';
const NOT_ALLOWED =
  'this process may not read the binlog files: it needs the group of the database (examples/hosts/README.md)';

function sendBusy(response: Response, what: string): void {
  response.setHeader('retry-after', '1');
  sendText(response, 503, `${what} are under way already`);
}

async function* piecesOf(
  handle: FileHandle,
  from: number,
  bytes: number,
  pace: (bytes: number) => Promise<void>,
): AsyncGenerator<Buffer, void> {
  for (let at = from; at < from + bytes;) {
    await pace(Math.min(CHUNK, from + bytes - at));
    const buffer = Buffer.alloc(Math.min(CHUNK, from + bytes - at));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    // The reader counts: it sees that something is missing.
    if (bytesRead === 0) throw new Error('the file became shorter while it was read');
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Whoever takes bytes waits until those before are paid for. */
function pacer(bytesPerSecond: number, clock: Clock): (bytes: number) => Promise<void> {
  let freeAtMs = Number.NEGATIVE_INFINITY;
  return async (bytes) => {
    const now = clock.monotonicMs();
    const wait = freeAtMs - now;
    freeAtMs = Math.max(freeAtMs, now) + (bytes / bytesPerSecond) * 1_000;
    if (wait > 0) await sleep(wait);
  };
}
