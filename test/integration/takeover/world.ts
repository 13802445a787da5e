import { rmSync } from 'node:fs';
import assert from 'node:assert/strict';
import type { Proof, Verdict } from '../../../src/api/reasons.ts';
import { Status } from '../../../src/api/status.ts';
import type { Acceptance } from '../../../src/operator/accept/accept.ts';
import { createReplicaAccount, createSourceAccounts, newAccounts } from '../../support/accounts.ts';
import { type LinkMode, attach, linkState, ownPosition, slaveStatus } from '../../support/link.ts';
import { type MariaDbServer, type ServerOptions, startMariaDb } from '../../support/mariadb.ts';
import type { MariaDbTools } from '../../support/provision.ts';
import { until } from '../../support/wait.ts';
import { type FakeVip, startFakeVip } from '../observe/proxy.ts';
import { Mxr, type Stored } from './mxr.ts';

export interface WorldOptions {
  readonly tools?: MariaDbTools | undefined;
  /** Of both members. */
  readonly server?: ServerOptions;
  readonly a?: ServerOptions;
  readonly b?: ServerOptions & { readonly 'server-id'?: number };
  readonly replica?: ServerOptions;
  readonly standbyLink?: LinkMode;
  /** `Filtered`: it does not get the accounts, and has its own. `Nothing`: it gets nothing at all, so nobody waits for it. */
  readonly standbyGets?: 'All' | 'Filtered' | 'Nothing';
  /** Sections of the spec, merged over the default. */
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** One of them makes the transactions of all tests; `t` has no key, so a row applied twice shows. */
const SCHEMA = 'CREATE DATABASE app; USE app; CREATE TABLE t (n INT NOT NULL) ENGINE=InnoDB';
export const POD = 'r1';
let worlds = 0;

/** A state that lasts so many looks is no passing one. */
const LOOKS = 8;

/**
 * A pair, one replica and an address that leads to one of the pair, all on one machine: takeovers without keepalived, made
 * by the statements that promotion scripts consist of.
 */
export class World {
  readonly a: MariaDbServer;
  readonly b: MariaDbServer;
  readonly replica: MariaDbServer;
  readonly vip: FakeVip;
  readonly #options: WorldOptions;
  readonly #accounts = newAccounts();
  readonly #stored: Stored;
  #mxr: Mxr | null = null;
  #rows = 0;

  private constructor(options: WorldOptions, servers: readonly MariaDbServer[], vip: FakeVip) {
    const [a, b, replica] = servers;
    if (a === undefined || b === undefined || replica === undefined) throw new Error('three servers are needed');
    this.#options = options;
    this.a = a;
    this.b = b;
    this.replica = replica;
    this.vip = vip;
    this.#stored = { spec: this.#spec(), status: {} };
  }

  /** The pair replicates, the replica follows the address by file and position, and nothing is written. */
  static async open(options: WorldOptions = {}): Promise<World> {
    const { tools, server = {}, a = {}, b = {}, replica = {} } = options;
    const common = tools === undefined ? {} : { tools };
    const members = { 'log-slave-updates': 0, 'sync-binlog': 1, ...server };
    const number = (worlds += 1);
    const servers = await Promise.all([
      startMariaDb({ ...common, name: `a${number}`, serverId: 1, server: { ...members, ...a } }),
      startMariaDb({ ...common, name: `b${number}`, serverId: 2, server: { ...members, 'read-only': 1, ...b } }),
      startMariaDb({
        ...common,
        name: `r${number}`,
        serverId: 101,
        server: { 'log-slave-updates': 1, 'read-only': 1, ...replica },
      }),
    ]);
    const [first] = servers;
    const world = new World(options, servers, await startFakeVip(first?.port ?? 0, number));
    try {
      await world.#build();
    } catch (error) {
      await world.close();
      throw error;
    }
    return world;
  }

  get mxr(): Mxr {
    if (this.#mxr === null) throw new Error('mxr does not run');
    return this.#mxr;
  }

  startMxr(): Mxr {
    this.#mxr = new Mxr(this.#stored, this.#acceptance());
    return this.#mxr;
  }

  killMxr(): void {
    this.#mxr?.kill();
    this.#mxr = null;
  }

  /** So many transactions of one row each, told apart by their number. */
  async write(server: MariaDbServer, count = 3): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      this.#rows += 1;
      await server.sql(`USE app; INSERT INTO t VALUES (${this.#rows})`);
    }
  }

  /** Resolves when a server has applied all that the source's binlog ends with at this moment. */
  async reached(server: MariaDbServer, source: MariaDbServer): Promise<void> {
    try {
      await until(`${server.name} has applied all of ${source.name}`, async () => {
        const end = await ownPosition(source);
        const link = await slaveStatus(server);
        const at = Number(link?.['Exec_Master_Log_Pos']);
        return link?.['Relay_Master_Log_File'] === end.file && at === end.position;
      });
    } catch (error) {
      throw new Error(`${(error as Error).message} (${await linkState(server)})`, { cause: error });
    }
  }

  /** What a promotion script does: the standby follows as far as it got, opens, is written to at once, and gets the address. */
  async promote(stop: string, writes: number): Promise<void> {
    const inserts = Array.from({ length: writes }, () => `INSERT INTO t VALUES (${(this.#rows += 1)})`);
    await this.b.sql([stop.replace(/;\s*$/, ''), 'SET GLOBAL read_only = 0', 'USE app', ...inserts].join('; '));
    this.vip.lead(this.b.port);
  }

  /** Everything that `a` has written is applied on the standby and on the replica. */
  async settled(): Promise<void> {
    const followers = this.#options.standbyGets === 'Nothing' ? [this.replica] : [this.b, this.replica];
    await Promise.all(followers.map((server) => this.reached(server, this.a)));
  }

  /** Looks go on to say that it is where it belongs; one that a busy machine has missed says nothing. */
  async staysProven(): Promise<void> {
    for (let look = 0; look < LOOKS; look += 1) {
      await this.mxr.lookedAgain();
      const [replica] = this.mxr.status.replicas;
      const told = `${replica?.verdict}/${replica?.reason}: ${replica?.message}`;
      assert.ok(replica?.ready === true || replica?.verdict === 'Waiting', told);
    }
  }

  /** Every table has the same rows on both; `database`: of that one. */
  async sameRows(holder: MariaDbServer, database = '%', deadlineMs = 10_000): Promise<void> {
    await until(
      `the rows of ${this.replica.name} are those of ${holder.name}`,
      async () => {
        const [there, here] = await Promise.all([rowsOf(holder, database), rowsOf(this.replica, database)]);
        if (there !== here) throw new Error(`${holder.name}: ${there}\n${this.replica.name}: ${here}`);
        return true;
      },
      { deadlineMs },
    );
  }

  followed(member: MariaDbServer, deadlineMs?: number): Promise<Status> {
    return this.mxr.statusIs(
      `the replica follows ${member.name}`,
      ({ holder, replicas }) =>
        holder === member.name && replicas.every(({ ready, baseline }) => ready && baseline?.member === member.name),
      deadlineMs,
    );
  }

  /** mxr has seen all that the standby has applied. */
  async seenStandby(): Promise<void> {
    const { file, position } = await ownPosition(this.a);
    await this.mxr.statusIs('the standby was seen where it stands', ({ source }) => {
      const applied = source.members[1]?.lastStandby?.applied;
      return applied?.file === file && applied.position === position;
    });
    // A look reads one thing after the other, and the one that has just seen the end may have read its GTID before.
    await this.mxr.lookedAgain();
  }

  /** The same, and the next process of mxr will know it: what was applied is stored every 30 s, if nothing else is. */
  async storedStandby(): Promise<void> {
    await this.seenStandby();
    const { position } = await ownPosition(this.a);
    const isStored = (): boolean => {
      const stored = Status.safeParse(this.#stored.status);
      if (!stored.success) return false;
      const { source, replicas } = stored.data;
      const isAdopted = replicas.length > 0 && replicas.every(({ baseline }) => baseline !== undefined);
      return isAdopted && source.members[1]?.lastStandby?.applied?.position === position;
    };
    await until('the standby is stored where it stands', isStored, { deadlineMs: 60_000 });
  }

  /** The replica goes on at the new holder, by this proof, and gets what is written there next. */
  async assertProven(proof: Proof, deadlineMs?: number): Promise<void> {
    const { handovers } = await this.followed(this.b, deadlineMs);
    assert.deepEqual(
      handovers[0]?.replicas.map((replica) => replica.proof),
      [proof],
    );
    await this.write(this.b);
    await this.reached(this.replica, this.b);
  }

  /** The replica is left where it was, out of service, under this verdict; resolves with its message. */
  async assertRefused(verdict: Verdict, reason: string): Promise<string> {
    const isRefused = ({ replicas: all }: Status): boolean =>
      all.every((one) => one.verdict === verdict && one.reason === reason);
    await this.mxr.statusIs(`it is ${verdict}/${reason}`, isRefused);
    // It is no passing state: what follows from the same looks follows from the next ones.
    for (let look = 0; look < LOOKS; look += 1) {
      await this.mxr.lookedAgain();
      assert.ok(!this.mxr.status.replicas.some(({ ready }) => ready), `ready after it was ${verdict}/${reason}`);
    }
    const { replicas } = await this.mxr.statusIs(`it still is ${verdict}/${reason}`, isRefused);
    assert.deepEqual(
      replicas.map(({ ready, serving }) => [ready, serving]),
      [[false, false]],
    );
    const link = await slaveStatus(this.replica);
    assert.equal(link?.['Master_Port'], String(this.a.port), 'its link was not touched');
    return replicas[0]?.message ?? '';
  }

  async close(): Promise<void> {
    this.killMxr();
    try {
      await this.vip.close();
    } finally {
      for (const server of [this.a, this.b, this.replica]) {
        await server.kill9();
        // They live in memory, and a file opens many worlds.
        rmSync(server.directory, { recursive: true, force: true });
      }
    }
  }

  async #build(): Promise<void> {
    const { pair } = this.#accounts;
    const { a, b, replica } = this;
    await createReplicaAccount(replica, this.#accounts.replica);
    await createSourceAccounts(a, this.#accounts);
    await a.sql(SCHEMA);
    if (this.#options.standbyGets !== undefined) {
      await createSourceAccounts(b, this.#accounts);
      await b.sql('RESET MASTER');
    }
    const firstFile = `${a.name}-bin.000001`;
    const common = { host: '127.0.0.1', port: a.port, from: 'start', firstFile } as const;
    await attach(b, { ...common, account: pair, mode: this.#options.standbyLink ?? 'file' });
    const { host, port } = this.vip;
    await attach(replica, { ...common, host, port, account: this.#accounts.replication, mode: 'file' });
    await this.settled();
  }

  #spec(): Record<string, unknown> {
    const { host, port } = this.vip;
    const source = {
      vip: { host, port },
      members: [this.a, this.b].map((server) => ({ name: server.name, host: '127.0.0.1', port: server.port })),
      credentials: { secretName: 's' },
    };
    const replicas = { selector: { matchLabels: { app: 'orders' } }, credentials: { secretName: 'r' } };
    const detection = { probeIntervalMs: 250, probeTimeoutMs: 1_000 };
    return { source, replicas, detection, ...this.#options.spec };
  }

  #acceptance(): Acceptance {
    const { look, replication, replica } = this.#accounts;
    const tls = { mode: 'Preferred' } as const;
    const member = { ...look, tls };
    return {
      ok: true,
      targets: {
        vip: { name: 'the VIP', host: this.vip.host, port: this.vip.port, ...member },
        members: [this.a, this.b].map(({ name, port }) => ({
          name,
          match: null,
          target: { name: `member ${name}`, host: '127.0.0.1', port, ...member },
        })),
        replica: { ...replica, port: this.replica.port, tls },
      },
      replication,
      refused: null,
      pods: [{ pod: POD, podUid: 'u', ip: '127.0.0.1', podReady: true, labelledServing: true }],
    };
  }
}

const TABLES = `SELECT CONCAT('\`', table_schema, '\`.\`', table_name, '\`') AS name FROM information_schema.tables
  WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
  AND table_schema LIKE ? ORDER BY 1`;

async function rowsOf(server: MariaDbServer, database: string): Promise<string> {
  const names = (await server.sql(TABLES, [database])).map((row) => row['name'] ?? '');
  const sums = await Promise.all(
    names.map(async (name) => {
      const { n } = await server.row(`SELECT COUNT(*) AS n FROM ${name}`);
      const { Checksum: sum } = await server.row(`CHECKSUM TABLE ${name}`);
      return `${name} ${n} rows ${sum}`;
    }),
  );
  return sums.join('; ');
}
