import { Stage } from '../e2e/support/stage.ts';
import { createReplicaAccount } from '../support/accounts.ts';
import type { Bench, BenchOptions, Replica } from '../support/bench.ts';
import { cloneData } from '../support/clone.ts';
import { attach } from '../support/link.ts';
import { MariaDbServer } from '../support/mariadb.ts';
import type { Member } from '../support/member.ts';
import { until } from '../support/wait.ts';
import { Watch } from '../support/watch.ts';
import { Publishers } from './publishers.ts';

/** How a set of replicas follows the pair. */
export const SIDES = ['mxr', 'plain'] as const;
export type Side = (typeof SIDES)[number];

export const MODES = { gtid: {}, takeover: { server: { 'log-slave-updates': 0 } } } as const satisfies Record<
  string,
  BenchOptions
>;
export type Mode = keyof typeof MODES;

const SETTLE_DEADLINE_MS = 60_000;
const CURED_DEADLINE_MS = 20_000;
const FIRST_PLAIN = 31;
const PLAIN = ['p1', 'p2', 'p3'];
/** The best that can be had without an operator: replicas dial the VIP, short retry and timeout. */
const TUNED = { 'log-slave-updates': 1, 'read-only': 1, 'slave-net-timeout': 4 };
const FOLLOWING = ['Following', 'CatchingUp', 'HandingOver', 'Waiting'];

interface Followers {
  readonly plain: readonly Replica[];
  readonly watch: Watch;
  readonly publishers: Publishers | null;
}

/** One pair under keepalived, followed by two sets of replicas at once: the same moves, the same load, the same moment. */
export class World {
  readonly stage: Stage;
  readonly plain: readonly Replica[];
  readonly watch: Watch;
  readonly #publishers: Publishers | null;

  private constructor(stage: Stage, { plain, watch, publishers }: Followers) {
    this.stage = stage;
    this.plain = plain;
    this.watch = watch;
    this.#publishers = publishers;
  }

  /** `publishers`: they run beside the members; whether mxr uses them is another question. */
  static async open(mode: Mode, sides: readonly Side[], publishers: boolean): Promise<World> {
    const stage = await Stage.open({
      bench: MODES[mode],
      spec: { detection: { probeIntervalMs: 250, probeTimeoutMs: 1000 } },
    });
    try {
      const plain = sides.includes('plain') ? await plainReplicas(stage.bench) : [];
      const { vip, accounts, app, replicas } = stage.bench;
      const watch = new Watch({ vip, accounts, app, replicas: [...replicas, ...plain] });
      await stage.startOperator();
      await stage.createResource();
      await stage.following(stage.bench.a.name, SETTLE_DEADLINE_MS);
      return new World(stage, { plain, watch, publishers: publishers ? await Publishers.start(stage) : null });
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  get bench(): Bench {
    return this.stage.bench;
  }

  /** Whether mxr is told of the publishers from now on. */
  async usePublishers(wanted: boolean): Promise<void> {
    await this.#publishers?.use(wanted);
  }

  replicasOf(side: Side): readonly Replica[] {
    return side === 'mxr' ? this.bench.replicas : this.plain;
  }

  /** Resolves when all replicas follow this member; a plain one that does not is made to. */
  async settle(holder: Member): Promise<void> {
    const follows = this.plain.map(({ db }) => this.bench.follows(db, holder.db, CURED_DEADLINE_MS));
    await Promise.all([this.stage.following(holder.name, SETTLE_DEADLINE_MS), ...follows]);
  }

  /** Whether this replica, which stands still, will not go on by itself; a refusal of mxr says so in its status. */
  async gaveUp(side: Side, replica: Replica): Promise<boolean> {
    if (side === 'mxr') return this.refuses(replica);
    const [link] = await replica.db.sql('SHOW SLAVE STATUS');
    return link?.['Slave_IO_Running'] === 'No' || link?.['Slave_SQL_Running'] === 'No';
  }

  async refuses(replica: Replica): Promise<boolean> {
    return (await this.refusalOf(replica)) !== null;
  }

  /** What mxr says of a replica that it leaves where it is. */
  async refusalOf({ name }: Replica): Promise<string | null> {
    const { replicas } = await this.stage.status();
    const told = replicas.find(({ pod }) => pod === name);
    if (told === undefined || FOLLOWING.includes(told.verdict)) return null;
    return `${name} ${told.verdict}/${told.reason}: ${told.message}`;
  }

  /** What a person would do with replicas that are stuck, refused or wrong: the holder's data, and following it again. */
  async cure(holder: Member, replicas: readonly Replica[]): Promise<void> {
    const { bench } = this;
    await Promise.all(replicas.map(({ db }) => db.kill9()));
    for (const replica of replicas) {
      // One after the other: the donor stands still meanwhile.
      const from = await cloneData(holder.db, replica.db);
      await replica.db.start();
      // The account that mxr uses there came with no data of the pair.
      await createReplicaAccount(replica.db, bench.accounts.replica);
      const host = this.plain.includes(replica) ? bench.vip.host : holder.address;
      const account = bench.accounts.replication;
      await attach(replica.db, { host, port: bench.vip.port, account, mode: 'gtid', from });
    }
  }

  async close(): Promise<void> {
    await this.watch.stop().catch(() => undefined);
    await this.#publishers?.close();
    await this.stage.close();
  }
}

async function plainReplicas(bench: Bench): Promise<readonly Replica[]> {
  return Promise.all(
    PLAIN.map(async (name, index) => {
      const host = await bench.network.addHost(name, `10.77.0.${FIRST_PLAIN + index}`);
      const { tools, vip, accounts } = bench;
      const db = new MariaDbServer({
        name,
        serverId: 201 + index,
        host: host.address,
        bindAddress: '0.0.0.0',
        port: vip.port,
        enter: host.enter,
        server: TUNED,
        tools: tools.replicas,
        cache: tools.cache,
      });
      await db.start();
      await attach(db, { ...vip, account: accounts.replication, mode: 'gtid', from: 'start' });
      await until(`${name} follows`, () => bench.follows(db, bench.a.db, 5_000).then(() => true));
      return { name, host, db };
    }),
  );
}
