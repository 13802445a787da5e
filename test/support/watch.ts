import { join } from 'node:path';
import type { Bench } from './bench.ts';
import { HostProgram } from './child.ts';
import type { SqlAddress } from './mariadb-sql.ts';

export interface WatchConfiguration {
  readonly vip: SqlAddress;
  readonly replicas: readonly SqlAddress[];
}

/** `vip`: another server, or one again after silence, answered a SELECT; `writable`: it is not read-only any more. `first`: a replica has this first row. */
export type WatchEvent =
  | { readonly type: 'vip' | 'writable'; readonly server: string; readonly at: number }
  | { readonly type: 'first'; readonly replica: string; readonly token: string; readonly at: number };

/** The stop watch of the bench, in a process of its own on the application's host. Times are `monotonicMs`. */
export class Watch {
  readonly events: WatchEvent[] = [];
  readonly #program: HostProgram;

  constructor(bench: Pick<Bench, 'vip' | 'accounts' | 'replicas' | 'app'>) {
    const configuration: WatchConfiguration = {
      vip: { name: 'the VIP', ...bench.vip, ...bench.accounts.application },
      replicas: bench.replicas.map(({ name, db }) => ({ name, socketPath: db.socket, user: 'root' })),
    };
    this.#program = new HostProgram(bench.app, join(import.meta.dirname, 'watch-main.ts'), configuration, (line) => {
      this.events.push(line as WatchEvent);
    });
  }

  /** When this server first answered at the VIP, or could first be written to there, at or after a time. */
  vipAnswered(server: string, sinceMs: number, type: 'vip' | 'writable' = 'vip'): number | undefined {
    return this.events.find((event) => event.type === type && event.server === server && event.at >= sinceMs)?.at;
  }

  /** When each of the replicas that have it got this first row. */
  arrivals(token: string): number[] {
    return this.events.filter((event) => event.type === 'first' && event.token === token).map((event) => event.at);
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}
