import { join } from 'node:path';
import type { Account } from './accounts.ts';
import type { Bench } from './bench.ts';
import { HostProgram } from './child.ts';
import type { TableName } from './schema.ts';
import { until } from './wait.ts';

export interface WriterConfiguration {
  readonly vip: { readonly host: string; readonly port: number };
  readonly account: Account;
  readonly ratePerSecond: number;
  /** `equal`: all transactions have the same size in the binlog. `mixed`: other sizes, tables and kinds. */
  readonly mix: 'equal' | 'mixed';
  /** The database that its sessions are in; by default none. */
  readonly database?: string;
}

/** A transaction that a server acknowledged; times are `monotonicMs`. */
export interface Acknowledged {
  readonly type: 'ack';
  readonly table: TableName;
  readonly token: string;
  /** Name of the server that answered. */
  readonly server: string;
  readonly startedAt: number;
  readonly at: number;
}

/** A transaction without acknowledgement: `refused` was certainly not committed, `unsure` may have been. */
export interface Failed extends Omit<Acknowledged, 'type'> {
  readonly type: 'refused' | 'unsure';
}

/** The application of the bench, running on its own host. */
export class Writer {
  readonly acknowledged: Acknowledged[] = [];
  readonly failed: Failed[] = [];
  readonly #program: HostProgram;

  constructor(bench: Bench, options: Partial<Omit<WriterConfiguration, 'vip' | 'account'>> = {}) {
    const { ratePerSecond = 100, mix = 'mixed' } = options;
    const account = bench.accounts.application;
    const configuration: WriterConfiguration = { ...options, vip: bench.vip, account, ratePerSecond, mix };
    this.#program = new HostProgram(bench.app, join(import.meta.dirname, 'writer-main.ts'), configuration, (line) => {
      const event = line as Acknowledged | Failed;
      if (event.type === 'ack') this.acknowledged.push(event);
      else this.failed.push(event);
    });
  }

  /** Resolves when `count` more transactions have been acknowledged by this server (by any, without one). */
  async writes(count: number, server?: string, deadlineMs = 30_000): Promise<void> {
    const before = this.acknowledged.length;
    const where = server ?? 'any server';
    await until(
      `the application has ${count} more transactions acknowledged by ${where}`,
      () =>
        this.acknowledged.slice(before).filter((ack) => server === undefined || ack.server === server).length >= count,
      { deadlineMs, intervalMs: 20 },
    );
  }

  /** First transaction that this server acknowledged at or after a time. */
  firstOn(server: string, sinceMs = 0): Acknowledged | undefined {
    return this.acknowledged.find((ack) => ack.server === server && ack.at >= sinceMs);
  }

  /** Ends the application in an orderly way; everything it was told is in the lists then. */
  stop(): Promise<void> {
    return this.#program.stop();
  }
}
