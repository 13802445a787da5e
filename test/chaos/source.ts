import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';

const root = dirname(dirname(import.meta.dirname));
/**
 * What decides and what moves: runs of another text of it say nothing of this one. Beside the four folders what reads the
 * binlogs that proofs are made of, the publisher's record of a takeover, and who leads.
 */
export const DECIDES = [
  'src/domain',
  'src/act',
  'src/observe',
  'src/operator',
  'src/sql/binlog',
  'src/publisher/takeover.ts',
  'src/kube/leader.ts',
] as const;
const SHOWN = 12;

/** The text that runs are made with. */
export interface Source {
  /** git's name of the text of each folder and file that decides or moves. */
  readonly trees: string;
  /** The last commit that changed one of them. */
  readonly commit: string;
}

/** Throws where git cannot name it: what is not committed cannot be told from anything else later. */
export function sourceOf(): Source {
  const changed = git(['status', '--porcelain', '--', ...DECIDES]);
  if (changed !== '') throw new Error(`commit what is changed first: the table says of which source it is\n${changed}`);
  const trees = DECIDES.map((path) => `${path}@${git(['rev-parse', `HEAD:${path}`]).slice(0, SHOWN)}`);
  return { trees: trees.join(' '), commit: git(['log', '-1', '--format=%h', '--', ...DECIDES]) };
}

function git(args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`git ${args.join(' ')} fails: ${stderr ?? 'git is not there'}`);
  return stdout.trim();
}
