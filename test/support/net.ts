import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exec } from './exec.ts';
import type { Tools } from './provision.ts';
import { sandboxDirectory } from './sandbox.ts';
import { until } from './wait.ts';

const BRIDGE = 'lan0';
const PREFIX = 24;
/** Address of the bench itself; the test process reaches every host from here. */
export const BENCH_ADDRESS = '10.77.0.1';

const TCP_ESTABLISHED = '01';

/**
 * Entries of the neighbour table are doubted early. With the kernel's own timers a host that missed the announcement
 * of a moved address talks to the wrong server for 15 to 45 s.
 */
const SHORT_ARP = {
  base_reachable_time_ms: 1000,
  retrans_time_ms: 200,
  delay_first_probe_time: 1,
  gc_stale_time: 2,
  ucast_solicit: 1,
} as const;

/** A switch, and hosts with one cable each. */
export class Network {
  readonly hosts = new Map<string, Host>();
  readonly #tools: Tools;

  private constructor(tools: Tools) {
    this.#tools = tools;
  }

  static async create(tools: Tools): Promise<Network> {
    if (sandboxDirectory() === undefined) throw new Error('a bench lives in a sandbox only: call enterSandbox() first');
    await exec([tools.ip, 'link', 'add', BRIDGE, 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0']);
    await exec([tools.ip, 'addr', 'add', `${BENCH_ADDRESS}/${PREFIX}`, 'dev', BRIDGE]);
    await exec([tools.ip, 'link', 'set', BRIDGE, 'up']);
    await shortenArp([], BRIDGE);
    return new Network(tools);
  }

  async addHost(name: string, address: string, hostname = name): Promise<Host> {
    const host = new Host(name, address, this.#tools);
    await host.plugIn();
    if (hostname !== name) await host.exec(['hostname', hostname]);
    this.hosts.set(name, host);
    return host;
  }

  /** Takes away every host but those that stay, with all that runs there. */
  async clear(stays: readonly Host[]): Promise<void> {
    const gone = [...this.hosts.values()].filter((host) => !stays.includes(host));
    await Promise.all(gone.map((host) => host.remove()));
    for (const { name } of gone) this.hosts.delete(name);
    // Of the hosts that come next some have the same addresses and other cards.
    await exec([this.#tools.ip, 'neigh', 'flush', 'all']);
    await Promise.all(stays.map((host) => host.forget()));
  }

  /** Ends everything that runs on a host and removes what was configured. */
  async close(): Promise<void> {
    await Promise.all([...this.hosts.values()].map((host) => host.remove()));
    this.hosts.clear();
    await exec([this.#tools.ip, 'link', 'del', BRIDGE]);
  }
}

/** What a blocked kind of traffic has to look like; without a field everything matches. */
export interface Traffic {
  /** As seen from the host on which it is dropped. */
  readonly direction: 'in' | 'out';
  readonly peer?: string;
  /** TCP port on either side. */
  readonly port?: number;
  /** `vrrp`: keepalived's adverts; `syn`: new connections only. */
  readonly kind?: 'vrrp' | 'syn';
  /** Of a hundred such packets so many are dropped, by chance; without it all. */
  readonly percent?: number;
}

/** Ends the dropping. */
export interface Drop {
  (): Promise<void>;
  /** Of those that were dropped so far; not after it has ended. */
  readonly packets: () => Promise<number>;
}

/** A machine: network and host name of its own; processes and files are shared with the bench. */
export class Host {
  readonly name: string;
  readonly address: string;
  /** Command prefix that runs something on this host; the process keeps the id that it was spawned with. */
  readonly enter: readonly string[];
  readonly directory: string;
  readonly #tools: Tools;
  readonly #port: string;
  #drops = 0;

  constructor(name: string, address: string, tools: Tools) {
    this.name = name;
    this.address = address;
    this.#tools = tools;
    this.#port = `p-${name}`;
    this.directory = join(sandboxDirectory() ?? '', name);
    this.enter = ['nsenter', `--net=/run/netns/${name}`, `--uts=${this.directory}/uts`];
  }

  /** Runs a command on this host. */
  exec(command: readonly string[], deadlineMs?: number): Promise<string> {
    return exec([...this.enter, ...command], deadlineMs);
  }

  async plugIn(): Promise<void> {
    const { name, directory } = this;
    const ip = this.#tools.ip;
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'uts'), '');
    await exec([ip, 'netns', 'add', name]);
    await exec(['unshare', `--uts=${directory}/uts`, 'hostname', name]);
    await exec([ip, 'link', 'add', this.#port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
    await exec([ip, 'link', 'set', this.#port, 'master', BRIDGE, 'up']);
    await this.exec([ip, 'link', 'set', 'lo', 'up']);
    await this.exec([ip, 'addr', 'add', `${this.address}/${PREFIX}`, 'dev', 'eth0']);
    await this.exec([ip, 'link', 'set', 'eth0', 'up']);
    await shortenArp(this.enter, 'eth0');
  }

  /** Addresses on the host's interface now. */
  async addresses(): Promise<string[]> {
    const text = await this.exec([this.#tools.ip, '-4', '-o', 'addr', 'show', 'dev', 'eth0']);
    return [...text.matchAll(/ inet ([0-9.]+)/g)].map((match) => match[1] ?? '');
  }

  /** Local ports of its established TCP connections: a session whose peer is gone is not among them. */
  async establishedPorts(): Promise<Set<number>> {
    const lines = (await this.exec(['cat', '/proc/net/tcp'])).split('\n').slice(1);
    const fields = lines.map((line) => line.trim().split(/\s+/));
    const established = fields.filter(([, , , state]) => state === TCP_ESTABLISHED);
    return new Set(established.map(([, local]) => Number.parseInt(local?.split(':')[1] ?? '', 16)));
  }

  /** Pulls or plugs the cable. The host itself sees that it lost its carrier. */
  cable(state: 'up' | 'down'): Promise<string> {
    return exec([this.#tools.ip, 'link', 'set', this.#port, state]);
  }

  /** Whether the host sees a carrier on its cable. */
  async hasCarrier(): Promise<boolean> {
    const text = await this.exec([this.#tools.ip, '-o', 'link', 'show', 'dev', 'eth0']);
    return text.includes('LOWER_UP');
  }

  /** Switches the interface itself off or on. */
  nic(state: 'up' | 'down'): Promise<string> {
    return this.exec([this.#tools.ip, 'link', 'set', 'eth0', state]);
  }

  /** Power failure: the cable is dead first, so that nothing says goodbye; addresses other than its own are gone. */
  async powerOff(): Promise<void> {
    await this.cable('down');
    await this.killAll();
    const others = (await this.addresses()).filter((address) => address !== this.address);
    for (const address of others) {
      await this.exec([this.#tools.ip, 'addr', 'del', `${address}/${PREFIX}`, 'dev', 'eth0']);
    }
  }

  /** Ends every process in this host's network. */
  async killAll(): Promise<void> {
    await until(`all processes of ${this.name} are gone`, async () => {
      const pids = (await exec([this.#tools.ip, 'netns', 'pids', this.name])).split('\n').filter((pid) => pid !== '');
      for (const pid of pids) killQuietly(Number(pid));
      return pids.length === 0;
    });
  }

  /** Drops packets on this host; call the result to let them pass again. */
  async drop(traffic: Traffic): Promise<Drop> {
    this.#drops += 1;
    const table = `drop${this.#drops}`;
    const hook = traffic.direction === 'in' ? 'input' : 'output';
    const chain = ['chain faults {', `type filter hook ${hook} priority 0`, ...dropRules(traffic), '}'];
    await this.exec([this.#tools.nft, [`table ip ${table} {`, ...chain, '}', ''].join('\n')]);
    let dropped = true;
    const heal = async (): Promise<void> => {
      if (dropped) await this.exec([this.#tools.nft, `delete table ip ${table}`]);
      dropped = false;
    };
    const packets = async (): Promise<number> => {
      const text = await this.exec([this.#tools.nft, `list table ip ${table}`]);
      return [...text.matchAll(/ counter packets (\d+) /g)].reduce((sum, [, count]) => sum + Number(count), 0);
    };
    return Object.assign(heal, { packets });
  }

  /** What was dropped here passes again, and whoever it knew is looked for anew. */
  async forget(): Promise<void> {
    await this.exec([this.#tools.nft, 'flush ruleset']);
    await this.exec([this.#tools.ip, 'neigh', 'flush', 'all']);
  }

  async remove(): Promise<void> {
    await this.killAll();
    await exec([this.#tools.ip, 'link', 'del', this.#port]);
    await exec([this.#tools.ip, 'netns', 'del', this.name]);
    await exec(['umount', join(this.directory, 'uts')]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function dropRules({ direction, peer, port, kind, percent }: Traffic): string[] {
  const verdict = `${percent === undefined ? '' : `numgen random mod 100 < ${percent} `}counter drop`;
  const match: string[] = [];
  if (peer !== undefined) match.push(`ip ${direction === 'in' ? 'saddr' : 'daddr'} ${peer}`);
  if (kind === 'vrrp') match.push('ip protocol 112');
  if (kind === 'syn') match.push('tcp flags & (syn | ack) == syn');
  if (port === undefined) return [[...match, verdict].join(' ')];
  return ['sport', 'dport'].map((side) => [...match, `tcp ${side} ${port}`, verdict].join(' '));
}

async function shortenArp(enter: readonly string[], device: string): Promise<void> {
  const folder = `/proc/sys/net/ipv4/neigh/${device}`;
  const writes = Object.entries(SHORT_ARP).map(([name, value]) => `echo ${value} > ${folder}/${name}`);
  await exec([...enter, 'sh', '-c', writes.join('; ')]);
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}
