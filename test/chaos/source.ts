import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';

const root = dirname(dirname(import.meta.dirname));
/** What decides and what moves: runs of another text of it say nothing of this one. */
const DECIDES = ['domain', 'act', 'observe', 'operator'].map((folder) => `src/${folder}`);
const SHOWN = 12;

/** The text that runs are made with. */
export interface Source {
  /** git's tree of each folder that decides or moves. */
  readonly trees: string;
  /** The last commit that changed one of them. */
  readonly commit: string;
}

/** Throws where git cannot name it: what is not committed cannot be told from anything else later. */
export function sourceOf(): Source {
  const changed = git(['status', '--porcelain', '--', ...DECIDES]);
  if (changed !== '') throw new Error(`commit what is changed first: the table says of which source it is\n${changed}`);
  const trees = DECIDES.map((folder) => `${folder}@${git(['rev-parse', `HEAD:${folder}`]).slice(0, SHOWN)}`);
  return { trees: trees.join(' '), commit: git(['log', '-1', '--format=%h', '--', ...DECIDES]) };
}

function git(args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`git ${args.join(' ')} fails: ${stderr ?? 'git is not there'}`);
  return stdout.trim();
}
