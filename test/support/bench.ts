import { type Accounts, createReplicaAccount, createSourceAccounts, newAccounts } from './accounts.ts';
import { cloneData } from './clone.ts';
import { mariadbCnf } from './host-files.ts';
import { type LinkMode, type LinkOptions, attach, hasReached, linkState } from './link.ts';
import { MariaDbServer, type ServerOptions } from './mariadb.ts';
import { Member, type PairOptions } from './member.ts';
import { type Host, Network } from './net.ts';
import { type MariaDbTools, type Tools, provision } from './provision.ts';
import { createSchema } from './schema.ts';
import { OWN, type VersionPair, programsOf, versionPairOf } from './versions.ts';
import { until } from './wait.ts';

export const VIP = '10.77.0.100';
const ADDRESSES = { a: '10.77.0.11', b: '10.77.0.12', op: '10.77.0.50', app: '10.77.0.60' } as const;
const FIRST_REPLICA = 21;
const FIRST_REPLICA_ID = 101;
const MEMBER_SERVER = { 'log-slave-updates': 1, 'sync-binlog': 1 };
/** The same on both hosts: log-basename names the list of binlog files too. */
const SHARED_NAMES = { 'log-basename': 'mysql', 'log-bin': 'mysql-bin' };
const HOLDER_DEADLINE_MS = 60_000;
/** A backup takes the VIP after three adverts of silence and a part of a fourth. */
const SILENT_ADVERTS_MS = 5_000;
const FOLLOW_DEADLINE_MS = 30_000;

export interface MemberSettings {
  readonly serverId?: number;
  /** Of the process of its database. */
  readonly env?: Readonly<Record<string, string>>;
  readonly server?: ServerOptions;
}

export interface BenchOptions extends Partial<Omit<PairOptions, 'vip'>> {
  /** Default: what `MXR_VERSIONS` says, else the MariaDB of this machine everywhere. */
  readonly versions?: VersionPair;
  /** The members are set up by the shipped mariadb.cnf. */
  readonly asShipped?: boolean;
  /** Options of both members; by default `log-slave-updates` and `sync-binlog` are on. */
  readonly server?: ServerOptions;
  readonly a?: MemberSettings;
  readonly b?: MemberSettings;
  /**
   * Both hosts run one data directory, of which only `a` runs a server and keepalived at first: who takes over starts those
   * of `b` once the server of `a` is gone, as a cluster manager does after mounting.
   */
  readonly shared?: boolean;
  /** What both members call themselves; by default each has a name of its own. */
  readonly hostname?: string;
  /** How the pair replicates inside itself. */
  readonly standbyLink?: LinkMode;
  readonly replicas?: {
    readonly count?: number;
    /** By default `log-slave-updates` and `read-only` are on. */
    readonly server?: ServerOptions;
    /** Of the process of each one's database. */
    readonly envs?: readonly Readonly<Record<string, string>>[];
    readonly link?: LinkMode;
    /** Connection name of their link. */
    readonly channel?: string;
    /** Address that the replicas are given at first; `none` leaves them without a link and without data. */
    readonly through?: 'vip' | 'member' | 'none';
  };
  readonly log?: (line: string) => void;
}

/** An in-cluster replica: a host with a MariaDB. */
export interface Replica {
  readonly name: string;
  readonly host: Host;
  readonly db: MariaDbServer;
}

/** Builds the whole bench: network, pair under keepalived with the VIP on `a`, replicas that follow. Takes about 6 s. */
export async function createBench(options: BenchOptions = {}): Promise<Bench> {
  const bench = await layBench(options);
  try {
    await bench.build();
    return bench;
  } catch (error) {
    await bench.close();
    throw error;
  }
}

/** What outlives a bench, where one is laid after another: the switch, and the operator's host. */
export interface Ground {
  readonly network: Network;
  readonly op: Host;
}

export async function layGround(log: (line: string) => void = () => undefined): Promise<Ground> {
  const network = await Network.create(await provision(log));
  return { network, op: await network.addHost('op', ADDRESSES.op) };
}

/** The hosts of a bench, on which nothing runs yet: `build` does the rest. */
export async function layBench(options: BenchOptions = {}, ground?: Ground): Promise<Bench> {
  const tools = await provision(options.log ?? (() => undefined));
  const programs = await programsOf(
    options.versions ?? versionPairOf(process.env['MXR_VERSIONS'] ?? OWN),
    tools.mariadb,
  );
  const { network, op } = ground ?? (await layGround(options.log));
  try {
    const [a, b, app, ...replicas] = await Promise.all([
      network.addHost('hci-a', ADDRESSES.a, options.hostname),
      network.addHost('hci-b', ADDRESSES.b, options.hostname),
      network.addHost('app', ADDRESSES.app),
      ...replicaHosts(network, options.replicas?.count ?? 3),
    ]);
    return new Bench(options, { ...tools, ...programs }, network, { a, b, op, app, replicas });
  } catch (error) {
    if (ground === undefined) await network.close();
    throw error;
  }
}

/** `mariadb` is what the pair runs. */
interface BenchTools extends Tools {
  readonly replicas: MariaDbTools;
}

interface BenchHosts {
  readonly a: Host;
  readonly b: Host;
  readonly op: Host;
  readonly app: Host;
  readonly replicas: readonly Host[];
}

export class Bench {
  readonly tools: BenchTools;
  readonly network: Network;
  readonly accounts: Accounts = newAccounts();
  readonly vip: { readonly host: string; readonly port: number };
  readonly a: Member;
  readonly b: Member;
  readonly replicas: readonly Replica[];
  /** Where the operator and the API server run. */
  readonly op: Host;
  /** Where the application runs. */
  readonly app: Host;
  readonly #options: BenchOptions;
  readonly #pair: PairOptions;

  constructor(options: BenchOptions, tools: BenchTools, network: Network, hosts: BenchHosts) {
    this.#options = options;
    this.tools = tools;
    this.network = network;
    this.op = hosts.op;
    this.app = hosts.app;
    const { pair = 'standby', port = 3306, advertSeconds = 1, preempt = false, fall = 2 } = options;
    const { readOnly = true, resetSlaveAll = false } = options;
    this.vip = { host: VIP, port };
    this.#pair = { pair, vip: VIP, port, advertSeconds, preempt, fall, readOnly, resetSlaveAll };
    this.a = this.#member(hosts.a, options.a ?? {}, { serverId: 1, priority: 100 });
    const { serverId, datadir } = this.a.db;
    const own = options.shared === true ? { serverId, datadir } : { serverId: 2 };
    this.b = this.#member(hosts.b, options.b ?? {}, { ...own, priority: 90 });
    this.replicas = hosts.replicas.map((host, index) => this.#replica(host, index));
  }

  get members(): readonly Member[] {
    return [this.a, this.b];
  }

  get servers(): readonly MariaDbServer[] {
    return [this.a.db, this.b.db, ...this.replicas.map((replica) => replica.db)];
  }

  async build(): Promise<void> {
    const { shared = false } = this.#options;
    const others = this.servers.filter(({ name }) => name !== this.a.name && !(shared && name === this.b.name));
    // Its first election takes longer than everything else here.
    const elected = this.a.db.start().then(() => this.a.keepalived.start());
    await Promise.all([elected, ...others.map((one) => one.start())]);
    await createSourceAccounts(this.a.db, this.accounts);
    await createSchema(this.a.db);
    if (!shared) await this.#follow(this.b, this.a);
    if (this.#pair.pair === 'dual') await this.#follow(this.a, this.b);
    for (const { db } of this.replicas) await createReplicaAccount(db, this.accounts.replica);
    await this.holderIs(this.a);
    if (!shared) await this.b.keepalived.start();
    await this.#attachReplicas();
  }

  /** Members whose interface has the VIP now. */
  async whoHoldsVip(): Promise<Member[]> {
    const holds = await Promise.all(this.members.map((member) => member.holdsVip()));
    return this.members.filter((_, index) => holds[index]);
  }

  /** For what needs a move of the VIP. */
  get holderDeadlineMs(): number {
    return HOLDER_DEADLINE_MS + this.#pair.advertSeconds * SILENT_ADVERTS_MS;
  }

  /** Resolves when this member alone has the VIP and has been promoted. */
  async holderIs(member: Member, deadlineMs = this.holderDeadlineMs): Promise<void> {
    const isHolder = async (): Promise<boolean> => (await this.whoHoldsVip()).length === 1 && (await member.serves());
    try {
      await until(`${member.name} holds the VIP alone and is writable`, isHolder, { deadlineMs });
    } catch (error) {
      const logs = this.members.map(({ name, keepalived }) => `keepalived of ${name}:\n${keepalived.logTail()}`);
      throw new Error([(error as Error).message, ...logs].join('\n'), { cause: error });
    }
  }

  other(member: Member): Member {
    return member === this.a ? this.b : this.a;
  }

  /**
   * Makes a member the standby of the other one again after a move, running whatever does not run. `keep` trusts its
   * data, as people do after a planned move; `clone` replaces it, as they have to after a crash.
   */
  async rejoin(member: Member, data: 'keep' | 'clone'): Promise<void> {
    const holder = this.other(member);
    await member.host.cable('up');
    await member.keepalived.stop();
    if (data === 'clone') {
      await member.db.stop();
      const position = await cloneData(holder.db, member.db);
      await member.db.start();
      await attach(member.db, { ...this.#linkTo(holder), from: position });
    } else {
      if (!member.db.running) await member.db.start();
      // Its applier may still run: a position that is read before it has stopped is set back, and applied twice.
      await member.db.sql('STOP ALL SLAVES');
      const gtid = (await member.db.row('SELECT @@gtid_current_pos AS gtid'))['gtid'] ?? '';
      await attach(member.db, { ...this.#linkTo(holder), from: { ...holder.takeoverPoint(), gtid } });
    }
    await member.keepalived.start();
    await this.follows(member.db, holder.db);
  }

  /** Resolves when a server is fed and has applied all that the source's binlog ends with at this moment. */
  async follows(server: MariaDbServer, source: MariaDbServer, deadlineMs = FOLLOW_DEADLINE_MS): Promise<void> {
    const end = await source.row('SHOW MASTER STATUS');
    try {
      await until(`${server.name} has applied all of ${source.name}`, () => hasReached(server, end), { deadlineMs });
    } catch (error) {
      throw new Error(`${(error as Error).message} (${await linkState(server)})`, { cause: error });
    }
  }

  /** Ends all processes of the bench and removes its network. */
  async close(): Promise<void> {
    await this.network.close();
  }

  #member(
    host: Host,
    settings: MemberSettings,
    { datadir, ...defaults }: { serverId: number; priority: number; datadir?: string },
  ): Member {
    const { shared = false, asShipped = false, server } = this.#options;
    const serverId = settings.serverId ?? defaults.serverId;
    const optionFile = asShipped ? mariadbCnf({ server_id: serverId, log_basename: host.name }) : undefined;
    return new Member({
      host,
      tools: this.tools,
      priority: defaults.priority,
      serverId,
      ...(optionFile === undefined ? {} : { optionFile }),
      server: { ...MEMBER_SERVER, ...(shared ? SHARED_NAMES : {}), ...server, ...settings.server },
      ...(settings.env === undefined ? {} : { env: settings.env }),
      ...(datadir === undefined ? {} : { datadir }),
      pair: this.#pair,
    });
  }

  #replica(host: Host, index: number): Replica {
    const { channel = '', server, envs } = this.#options.replicas ?? {};
    const db = new MariaDbServer({
      name: host.name,
      serverId: FIRST_REPLICA_ID + index,
      env: envs?.[index] ?? {},
      host: host.address,
      bindAddress: '0.0.0.0',
      port: this.vip.port,
      enter: host.enter,
      server: { 'log-slave-updates': 1, 'read-only': 1, ...server },
      channel,
      tools: this.tools.replicas,
      cache: this.tools.cache,
    });
    return { name: host.name, host, db };
  }

  #linkTo(source: Member): Omit<LinkOptions, 'from'> {
    const { pair } = this.accounts;
    const firstFile = `${this.#options.shared === true ? SHARED_NAMES['log-bin'] : `${source.name}-bin`}.000001`;
    return {
      host: source.address,
      port: this.vip.port,
      account: pair,
      mode: this.#options.standbyLink ?? 'gtid',
      firstFile,
    };
  }

  async #follow(member: Member, source: Member): Promise<void> {
    await attach(member.db, { ...this.#linkTo(source), from: 'start' });
    await this.follows(member.db, source.db);
  }

  async #attachReplicas(): Promise<void> {
    const { link = 'gtid', through = 'vip' } = this.#options.replicas ?? {};
    if (through === 'none') return;
    const host = through === 'vip' ? this.vip.host : this.a.address;
    await Promise.all(
      this.replicas.map(async ({ db }) => {
        const target = { ...this.#linkTo(this.a), host, account: this.accounts.replication, mode: link };
        await attach(db, { ...target, from: 'start' });
        await this.follows(db, this.a.db);
      }),
    );
  }
}

function replicaHosts(network: Network, count: number): Promise<Host>[] {
  return Array.from({ length: count }, (_, index) =>
    network.addHost(`r${index + 1}`, `10.77.0.${FIRST_REPLICA + index}`),
  );
}
