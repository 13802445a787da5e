import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../support/bench.ts';
import { openSession } from '../support/mariadb-sql.ts';

const CONNECT_DEADLINE_MS = 1_000;
const STATEMENT_DEADLINE_MS = 3_000;

/** Runs one statement after another through the VIP, with the application's rights, beside the application. */
export class Beside {
  readonly #bench: Bench;
  readonly #everyMs: number;
  readonly #statementOf: (turn: number) => string;
  readonly #end = new AbortController();
  readonly #running: Promise<void>;

  constructor(bench: Bench, everyMs: number, statementOf: (turn: number) => string) {
    this.#bench = bench;
    this.#everyMs = everyMs;
    this.#statementOf = statementOf;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    for (let turn = 0; !signal.aborted; turn += 1) {
      // Refused, or nobody there: what did not happen is not missed.
      await this.#change(turn).catch(() => undefined);
      await delay(this.#everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #change(turn: number): Promise<void> {
    const { vip, accounts } = this.#bench;
    const session = await openSession({ name: 'the VIP', ...vip, ...accounts.application }, CONNECT_DEADLINE_MS);
    try {
      await session.sql(this.#statementOf(turn), [], STATEMENT_DEADLINE_MS);
    } finally {
      session.close();
    }
  }
}

/** Changes the shape of the application's database. */
export function shapeStatement(turn: number): string {
  return `USE app; ${change(turn)}`;
}

function change(turn: number): string {
  const table = `shape_${Math.floor(turn / 4)}`;
  switch (turn % 4) {
    case 0:
      return `CREATE TABLE ${table} (id INT AUTO_INCREMENT PRIMARY KEY, turn INT) ENGINE=InnoDB`;
    case 1:
      return `INSERT INTO ${table} (turn) SELECT ${turn} FROM hot WHERE id < 5`;
    case 2:
      return `ALTER TABLE ${table} ADD COLUMN more_${turn} INT NOT NULL DEFAULT ${turn}`;
    default:
      return `DROP TABLE IF EXISTS shape_${Math.floor(turn / 4) - 2}`;
  }
}
