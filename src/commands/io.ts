import type { ConfigSource } from '../config.ts';
import type { ProcessEvents } from '../ops/lifecycle.ts';

/** What a command may touch of the process; injected, so that tests need no process of their own. */
export interface CommandIo {
  readonly source: ConfigSource;
  readonly events: ProcessEvents;
  readonly exit: (code: number) => void;
  /** For people: the text of `--help`. */
  readonly out: (text: string) => void;
  /** For people: what is wrong, before there is a logger. */
  readonly err: (text: string) => void;
}

/** Exit codes: 0 done, 1 failed, 2 not understood or not there. */
export type Command = (args: readonly string[], io: CommandIo) => Promise<number>;
