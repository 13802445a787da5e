import { type VersionName, type VersionPair, versionPairOf } from '../versions.ts';

/** What a full run also runs on other versions than this machine's: the five set-ups, and the ordinary moves. */
const STORIES: readonly string[] = [
  'hci-standby',
  'dr-dual',
  'dual-primary',
  'shared-storage',
  'preempt-pair',
  'planned',
  'crash',
  'takeover-file',
  'takeover-gtid',
];

/** SOURCE/REPLICAS: each other version by itself, and every way in which replicas can be newer than their source. */
export const OTHER_PAIRS: readonly string[] = ['10.5/10.5', '10.5/own', '10.5/11.8', 'own/11.8', '11.8/11.8'];

export interface VersionRun {
  readonly file: string;
  readonly versions: string;
}

/** Those of the files that are stories of every version, with each pair that this machine can have. */
export function versionRuns(files: readonly string[], absent: readonly VersionName[]): readonly VersionRun[] {
  const stories = files.filter((file) => STORIES.some((name) => file === `test/e2e/${name}.test.ts`));
  const pairs = OTHER_PAIRS.filter((pair) => !uses(versionPairOf(pair), absent));
  return pairs.flatMap((versions) => stories.map((file) => ({ file, versions })));
}

function uses({ source, replicas }: VersionPair, names: readonly VersionName[]): boolean {
  return names.includes(source) || names.includes(replicas);
}
