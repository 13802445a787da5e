import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.ts';
import { aptMissing, unpackPackages } from './provision-apt.ts';
import { cacheDirectory } from './provision.ts';

/** The library that gives a program another wall clock, or why this machine cannot have it. */
export type FakeTime = { readonly library: string } | { readonly absent: string };

const PACKAGE = 'libfaketime';
/** The one for programs with threads. */
const LIBRARY = 'faketime/libfaketimeMT.so.1';
const LOCK_DEADLINE_MS = 600_000;

/**
 * Needs the network at its first call, so call it outside the sandbox first. It is of this machine's release: only programs
 * that use this machine's C library run with it.
 */
export async function fakeTime(log: (line: string) => void): Promise<FakeTime> {
  const root = join(cacheDirectory(), PACKAGE);
  const unable = aptMissing();
  if (unable !== undefined) return { absent: unable };
  mkdirSync(cacheDirectory(), { recursive: true });
  const found = libraryIn(root);
  if (found !== undefined) return { library: found };
  return withLock(join(cacheDirectory(), 'provision.lock'), LOCK_DEADLINE_MS, async () => {
    try {
      if (libraryIn(root) === undefined) await unpackPackages({ packages: [[PACKAGE]], root, log });
    } catch (error) {
      return { absent: error instanceof Error ? error.message : String(error) };
    }
    const library = libraryIn(root);
    return library === undefined ? { absent: `the package ${PACKAGE} has no ${LIBRARY}` } : { library };
  });
}

/** What is in the cache, asked inside a sandbox, which has no network. */
export function cachedFakeTime(): string | undefined {
  return libraryIn(join(cacheDirectory(), PACKAGE));
}

function libraryIn(root: string): string | undefined {
  const folder = join(root, 'usr/lib');
  const triples = existsSync(folder) ? readdirSync(folder) : [];
  return triples.map((triple) => join(folder, triple, LIBRARY)).find((path) => existsSync(path));
}

/** What a program has in its environment so that its wall clock is off; its timers and deadlines are as they were. */
export function clockOffBy(hours: number, library: string): Readonly<Record<string, string>> {
  if (hours === 0) return {};
  const seconds = Math.round(hours * 3_600);
  return {
    LD_PRELOAD: library,
    FAKETIME: `${seconds < 0 ? '-' : '+'}${Math.abs(seconds)}s`,
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    FAKETIME_NO_CACHE: '1',
  };
}
