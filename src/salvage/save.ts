import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Extracted } from '../sql/binlog/extract.ts';
import { FileSink } from './file-sink.ts';
import type { Manifest } from './manifest.ts';
import { MAX_MANIFEST_BYTES, parseManifest } from './manifest.ts';
import { baseName, component } from './names.ts';
import { writeReadable } from './readable.ts';
import { systemCode } from '../errors.ts';

export interface Place {
  /** The root of the salvage volume. */
  readonly dir: string;
  /** `mariadb-binlog`, by name or path. */
  readonly tool: string;
  /** Of one binlog file. */
  readonly maxBytes: number;
}

/** What is known of a set of transactions before they are read for saving. */
export interface Subject {
  readonly set: string;
  readonly namespace: string;
  readonly name: string;
  readonly pod: string;
  readonly server: Manifest['server'];
  readonly verdict: string;
  readonly gtids: readonly string[];
  readonly complete: boolean;
  /** As many were seen before: fewer are not what was to be saved. */
  readonly atLeast: number;
}

export interface SaveOptions {
  readonly subject: Subject;
  /** Writes the binlog file. */
  readonly extract: (sink: FileSink) => Promise<Extracted>;
  readonly wallMs: () => number;
  readonly signal: AbortSignal;
}

/** A failure whose message says what to do. */
class SalvageError extends Error {}

const PRIVATE_DIR = 0o700;
const PRIVATE_FILE = 0o600;
const TEMPORARY = '.salvage-';
const READABLE_DEADLINE_MS = 120_000;
/** Rows as comments take more room than in the binlog. */
const READABLE_FACTOR = 8;

function directoryOf({ dir }: Place, { namespace, name }: Pick<Subject, 'namespace' | 'name'>): string {
  return join(dir, component(namespace), component(name));
}

/** The same set that was saved before, whole and unchanged in size; null: there is none. */
export async function findSaved(place: Place, subject: Subject): Promise<Manifest | null> {
  const directory = directoryOf(place, subject);
  for (const file of await namesIn(directory)) {
    if (!file.endsWith('.json') || file.startsWith('.')) continue;
    const path = join(directory, file);
    if ((await stat(path)).size > MAX_MANIFEST_BYTES) continue;
    const manifest = parseManifest(await readFile(path, 'utf8'));
    if (manifest?.set !== subject.set || manifest.pod !== subject.pod) continue;
    const saved = await stat(join(directory, basename(manifest.file))).catch(() => null);
    if (saved?.size === manifest.bytes) return manifest;
  }
  return null;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Binlog, SQL, then the manifest; each under another name until it is complete and on the disk. */
export async function save(place: Place, options: SaveOptions): Promise<Manifest> {
  const directory = directoryOf(place, options.subject);
  await mkdir(directory, { recursive: true, mode: PRIVATE_DIR });
  await removeTemporary(directory);
  const work = await mkdtemp(join(directory, TEMPORARY));
  try {
    return await saveIn(place, { ...options, directory, work });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Of a process that died; one process at a time saves. */
async function removeTemporary(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.startsWith(TEMPORARY)) await rm(join(directory, name), { recursive: true, force: true });
  }
}

interface Working extends SaveOptions {
  readonly directory: string;
  readonly work: string;
}

async function saveIn(place: Place, working: Working): Promise<Manifest> {
  const { directory, work, subject } = working;
  const binlog = join(work, 'binlog');
  const extracted = await writeBinlog(place, working, binlog);
  const sha256 = await digestOf(binlog);
  const base = await freeName(directory, baseName(subject.pod, extracted.first, extracted.last), sha256);
  const readableError = await writeSql(place, working, binlog);
  const relative = join(component(subject.namespace), component(subject.name), base);
  const manifest = manifestOf(working, extracted, { relative, sha256, readableError });
  await rename(binlog, join(directory, `${base}.binlog`));
  if (readableError === null) await rename(join(work, 'sql'), join(directory, `${base}.sql`));
  await writeNew(join(work, 'json'), async (file) => file.writeFile(`${JSON.stringify(manifest, null, 2)}\n`));
  await rename(join(work, 'json'), join(directory, `${base}.json`));
  await syncDirectory(directory);
  return manifest;
}

async function writeBinlog(place: Place, { extract, subject }: Working, path: string): Promise<Extracted> {
  let extracted: Extracted | null = null;
  await writeNew(path, async (file) => {
    const sink = new FileSink(file);
    extracted = await extract(sink);
    await sink.end(extracted.size);
  });
  const { cut = null, count = 0 } = (extracted ?? {}) as Partial<Extracted>;
  if (cut === 'read') {
    throw new SalvageError(
      'too much would have to be read for it, or one change of more than 64 MiB stands in between',
    );
  }
  if (cut === 'size') {
    const bound = Math.floor(place.maxBytes / 1024 / 1024);
    throw new SalvageError(`what only ${subject.pod} has is larger than ${bound} MiB; raise MXR_SALVAGE_MAX_MB`);
  }
  if (extracted === null || count < Math.max(1, subject.atLeast)) {
    throw new SalvageError(
      `${subject.atLeast} transactions were seen in the binlog of ${subject.pod}, and ${count} are there`,
    );
  }
  return extracted;
}

async function writeSql(place: Place, { work, signal }: Working, binlog: string): Promise<string | null> {
  let why: string | null = null;
  const scratch = await mkdtemp(join(work, 'load-'));
  await writeNew(join(work, 'sql'), async (file) => {
    await file.writeFile(HEADER);
    why = await writeReadable({
      tool: place.tool,
      binlog,
      into: file,
      scratch,
      maxBytes: READABLE_FACTOR * place.maxBytes,
      deadlineMs: READABLE_DEADLINE_MS,
      signal,
    });
  });
  return why;
}

const HEADER = `-- For reading. Rows stand in comments here: to apply them, give the .binlog beside this file to mariadb-binlog.\n`;

async function writeNew(path: string, write: (file: FileHandle) => Promise<unknown>): Promise<void> {
  const file = await open(path, 'wx', PRIVATE_FILE);
  try {
    await write(file);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** The same numbers may stand for other transactions: of an earlier life of the pod, or given twice. */
async function freeName(directory: string, base: string, sha256: string): Promise<string> {
  const taken = (await readdir(directory)).some((name) => name.startsWith(`${base}.`));
  return taken ? `${base}-${sha256.slice(0, 8)}` : base;
}

/** What was renamed is on the disk, too. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function manifestOf(
  { subject, wallMs }: Working,
  { count, first, last, firstAt, lastAt, size }: Extracted,
  { relative, sha256, readableError }: { relative: string; sha256: string; readableError: string | null },
): Manifest {
  const { gtids, atLeast: _, ...rest } = subject;
  const iso = (ms: number): string => new Date(ms).toISOString();
  return {
    version: 1,
    ...rest,
    savedAt: iso(wallMs()),
    count,
    first,
    last,
    firstAt: iso(firstAt),
    lastAt: iso(lastAt),
    gtids: [...gtids],
    file: `${relative}.binlog`,
    bytes: size,
    sha256,
    readable: readableError === null ? `${relative}.sql` : null,
    ...(readableError === null ? {} : { readableError }),
  };
}

/** What went wrong, for people. */
export function salvageFailure(error: unknown, { dir }: Place): string {
  if (error instanceof SalvageError) return error.message;
  const text = error instanceof Error ? error.message : String(error);
  switch (systemCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `the salvage volume (${dir}) is full; make room there or enlarge it`;
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return `the salvage volume (${dir}) cannot be written to (${text}); it must belong to the group of the operator (fsGroup)`;
    default:
      return text;
  }
}
