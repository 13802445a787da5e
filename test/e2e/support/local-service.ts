import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Replica } from '../../support/bench.ts';

const INTERVAL_MS = 40;

/** A service beside one replica that writes to a database of its own there, all the time, under that server's own id. */
export class LocalService {
  readonly #replica: Replica;
  #written = 0;
  #ended = false;
  #writing: Promise<void> = Promise.resolve();

  private constructor(replica: Replica) {
    this.#replica = replica;
  }

  static async start(replica: Replica): Promise<LocalService> {
    await replica.db.sql('CREATE DATABASE service; CREATE TABLE service.notes (id INT PRIMARY KEY, note CHAR(24))');
    const service = new LocalService(replica);
    service.#writing = service.#write();
    return service;
  }

  /** Everything that it was told is written is there, and nothing else. */
  async assertIntact(): Promise<void> {
    const { name, db } = this.#replica;
    const least = this.#written;
    const row = await db.row('SELECT COUNT(*) AS n, COUNT(DISTINCT id) AS ids, MAX(id) AS last FROM service.notes');
    assert.deepEqual([row['ids'], row['last']], [row['n'], row['n']], `${name}: rows of the local service are lost`);
    assert.ok(Number(row['n']) >= least, `${name}: the local service wrote ${least} rows and has ${row['n']}`);
    assert.ok(least > 0, `${name}: the local service has written nothing`);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#writing;
  }

  async #write(): Promise<void> {
    while (!this.#ended) {
      const id = this.#written + 1;
      await this.#replica.db.sql('INSERT INTO service.notes VALUES (?, ?)', [id, `note ${id}`]);
      this.#written = id;
      await delay(INTERVAL_MS);
    }
  }
}
