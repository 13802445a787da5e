import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Keepalived } from './keepalived.ts';
import type { Position } from './link.ts';
import { MariaDbServer, type ServerOptions } from './mariadb.ts';
import type { Drop, Host } from './net.ts';
import type { Tools } from './provision.ts';
import { until } from './wait.ts';

/** How the pair is run; the same on both sides. */
export interface PairOptions {
  /** `standby`: b follows a and is promoted by a script. `dual`: each follows the other all the time. */
  readonly pair: 'standby' | 'dual';
  readonly vip: string;
  readonly port: number;
  readonly advertSeconds: number;
  readonly preempt: boolean;
  /** Failed checks in a row before keepalived gives the address up. */
  readonly fall: number;
  /** Servers start read-only; keepalived's scripts switch that. */
  readonly readOnly: boolean;
  /** The promotion script forgets the old primary. */
  readonly resetSlaveAll: boolean;
}

export interface MemberOptions {
  readonly host: Host;
  readonly tools: Tools;
  readonly priority: number;
  readonly serverId: number;
  readonly server: ServerOptions;
  readonly optionFile?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The storage that it shares with the other host. */
  readonly datadir?: string;
  readonly pair: PairOptions;
}

/** One database host of the pair: a machine, its MariaDB, its keepalived; and what can happen to it. */
export class Member {
  readonly host: Host;
  readonly db: MariaDbServer;
  readonly keepalived: Keepalived;
  readonly #vip: string;
  #healVrrp: Drop[] = [];

  constructor(options: MemberOptions) {
    const { host, tools, pair, serverId } = options;
    this.host = host;
    this.#vip = pair.vip;
    this.db = new MariaDbServer({
      name: host.name,
      serverId,
      host: host.address,
      bindAddress: '0.0.0.0',
      port: pair.port,
      enter: host.enter,
      server: { ...(pair.readOnly ? { 'read-only': 1 } : {}), ...options.server },
      tools: tools.mariadb,
      cache: tools.cache,
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.datadir === undefined ? {} : { datadir: options.datadir }),
      ...(options.optionFile === undefined ? {} : { optionFile: options.optionFile }),
    });
    this.keepalived = new Keepalived({
      host,
      tools,
      vip: pair.vip,
      priority: options.priority,
      advertSeconds: pair.advertSeconds,
      preempt: pair.preempt,
      fall: pair.fall,
      pair: pair.pair,
      readOnly: pair.readOnly,
      resetSlaveAll: pair.resetSlaveAll,
      socket: this.db.socket,
      datadir: this.db.datadir,
      takeovers: takeoverFile(host),
    });
  }

  get name(): string {
    return this.host.name;
  }

  get address(): string {
    return this.host.address;
  }

  async holdsVip(): Promise<boolean> {
    return (await this.host.addresses()).includes(this.#vip);
  }

  /** Whether it holds the VIP and its promotion is complete. */
  async serves(): Promise<boolean> {
    if (!(await this.holdsVip()) || !this.db.running) return false;
    return (await this.db.row('SELECT @@read_only AS ro'))['ro'] === '0';
  }

  /** Where its own binlog stood when it was promoted last, before anybody could write: the takeover point. */
  takeoverPoint(): Position {
    const lines = readFileSync(takeoverFile(this.host), 'utf8').split('\n');
    const below = (heading: string): string => {
      const index = lines.findLastIndex((line) => line.startsWith(heading));
      const line = lines[index + 1];
      if (index < 0 || line === undefined) throw new Error(`${this.name} noted no ${heading} when it was promoted`);
      return line;
    };
    const [file = '', position = ''] = below('File\tPosition').split('\t');
    return { file, position: Number(position), gtid: below('@@gtid_current_pos') };
  }

  /** A planned move: keepalived is stopped, the database goes on. */
  planned(): Promise<void> {
    return this.keepalived.stop();
  }

  /** The database process dies; the machine and keepalived go on. */
  kill9(): Promise<void> {
    return this.db.kill9();
  }

  freeze(): Promise<void> {
    return this.db.freeze();
  }

  thaw(): void {
    this.db.thaw();
  }

  async powerOff(): Promise<void> {
    await this.host.powerOff();
    await until(`${this.name} is dead`, () => !this.db.running && !this.keepalived.running);
  }

  async powerOn(): Promise<void> {
    await this.host.cable('up');
    await this.db.start();
    await this.keepalived.start();
  }

  nicDown(): Promise<string> {
    return this.host.nic('down');
  }

  nicUp(): Promise<string> {
    return this.host.nic('up');
  }

  /** The hosts no longer hear each other's adverts, all else works: both take the VIP. */
  async cutVrrp(): Promise<void> {
    if (this.#healVrrp.length > 0) return;
    for (const direction of ['in', 'out'] as const) {
      this.#healVrrp.push(await this.host.drop({ direction, kind: 'vrrp' }));
    }
  }

  /** Adverts that it did not hear or was not heard with since they were cut off. */
  async missedAdverts(): Promise<number> {
    const missed = await Promise.all(this.#healVrrp.map((drop) => drop.packets()));
    return missed.reduce((sum, packets) => sum + packets, 0);
  }

  async healVrrp(): Promise<void> {
    const heals = this.#healVrrp;
    this.#healVrrp = [];
    for (const heal of heals) await heal();
  }
}

function takeoverFile(host: Host): string {
  return join(host.directory, 'takeover');
}
