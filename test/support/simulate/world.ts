import type { Gtid } from '../../../src/domain/gtid.ts';
import type { DumpThread } from '../../../src/domain/observation.ts';
import type { SimLink } from './link.ts';
import { apply, newLink, receive, startThreads } from './link.ts';
import type { SimServer } from './server.ts';
import { newServer, write } from './server.ts';

export const VIP = '10.0.0.100';
export const WALL = Date.parse('2026-03-01T12:00:00.000Z');

export interface PairOptions {
  readonly logSlaveUpdates: readonly [boolean, boolean];
  readonly replicaLogSlaveUpdates: boolean;
  readonly replicas: number;
  /** How members follow each other, and how replicas begin. */
  readonly memberMode: SimLink['mode'];
  readonly replicaMode: SimLink['mode'];
  /** What the replicas dial before mxr adopts them. */
  readonly dial: 'vip' | 'member';
  readonly equalServerIds: boolean;
}

/** A pair, its VIP, replicas and a network, with one clock. */
export interface World {
  /** Monotonic ms. */
  now: number;
  readonly members: readonly [SimServer, SimServer];
  readonly replicas: readonly SimServer[];
  /** Which members' hosts have the VIP: normally one. */
  vip: readonly SimServer[];
  /** Names of servers that mxr cannot reach now. */
  readonly hidden: Set<string>;
  /** Transactions in binlogs that this process of mxr has looked at. */
  readonly witnessed: Set<string>;
  /** Rows in an engine that no binlog has any more, and of which nobody ever heard: no proof can know of them. */
  readonly unheard: Set<string>;
  /** Lost likewise, and heard of only by a process of mxr: it may die before it has stored that. */
  readonly heardOnly: { readonly token: string; readonly member: string; readonly gtid: Gtid }[];
  /** Statements that no MariaDB would take in this place. */
  readonly misuse: string[];
  tokens: number;
  readonly options: PairOptions;
}

export function wallOf(world: World): number {
  return WALL + world.now;
}

export function newWorld(options: PairOptions): World {
  const [lsuA, lsuB] = options.logSlaveUpdates;
  const ids = options.equalServerIds ? ([1, 1] as const) : ([1, 2] as const);
  const a = newServer({ name: 'a', ip: '10.0.0.11', serverId: ids[0], logSlaveUpdates: lsuA }, WALL - 3_600_000);
  const b = newServer({ name: 'b', ip: '10.0.0.12', serverId: ids[1], logSlaveUpdates: lsuB }, WALL - 3_500_000);
  const replicas = Array.from({ length: options.replicas }, (_, index) =>
    newServer(
      {
        name: `r${index}`,
        ip: `10.1.0.${index + 1}`,
        serverId: 11 + index,
        logSlaveUpdates: options.replicaLogSlaveUpdates,
        autostart: false,
      },
      WALL - 3_000_000,
    ),
  );
  const world: World = {
    now: 0,
    members: [a, b],
    replicas,
    vip: [a],
    hidden: new Set(),
    witnessed: new Set(),
    unheard: new Set(),
    heardOnly: [],
    misuse: [],
    tokens: 0,
    options,
  };
  a.readOnly = false;
  if (!options.equalServerIds) follow(b, a, options.memberMode);
  for (const replica of replicas) {
    replica.link = newLink(options.dial === 'vip' ? VIP : a.ip, options.replicaMode);
    startThreads(replica, replica.link, 'Both');
  }
  for (let index = 0; index < 3; index += 1) commit(world, a);
  flow(world, 1000);
  return world;
}

/** Makes a member the standby of another from where it stands, as a DBA does. */
export function follow(standby: SimServer, source: SimServer, mode: SimLink['mode']): void {
  standby.link = newLink(source.ip, mode);
  startThreads(standby, standby.link, 'Both');
}

export function commit(world: World, server: SimServer, size = 100): string {
  world.tokens += 1;
  const token = `t${world.tokens}@${server.name}`;
  write(server, token, { now: wallOf(world), size });
  return token;
}

export function holderOf(world: World): SimServer | undefined {
  return world.vip.find((member) => member.up);
}

export function serversOf(world: World): readonly SimServer[] {
  return [...world.members, ...world.replicas];
}

/** Who answers at an address: with two claimants, each client keeps the one its ARP entry names. */
export function dial(world: World, from: SimServer, host: string): SimServer | null {
  if (host !== VIP) return serversOf(world).find((server) => server.ip === host && server.up) ?? null;
  const claimants = world.vip.filter((member) => member.up);
  const current = claimants.find((member) => member === from.link?.session?.source);
  return current ?? claimants[from.serverId % Math.max(1, claimants.length)] ?? claimants[0] ?? null;
}

/** Replication everywhere moves on by at most so many transactions per thread. */
export function flow(world: World, count: number): void {
  for (const server of serversOf(world))
    if (server.link !== null) flowOne(world, server, { receive: count, apply: count });
}

export function flowOne(
  world: World,
  server: SimServer,
  counts: { readonly receive: number; readonly apply: number },
): void {
  const { link } = server;
  if (link === null || !server.up) return;
  receive(server, link, { dial: (from, host) => dial(world, from, host), now: world.now }, counts.receive);
  apply(server, link, counts.apply);
}

/** Everybody who dumps from a server. */
export function dumpsOf(world: World, source: SimServer): DumpThread[] {
  return serversOf(world).flatMap(({ link, ip }) => {
    const session = link?.session ?? null;
    if (session?.source !== source || session.life !== source.life) return [];
    const ageSeconds = Math.floor((world.now - session.since) / 1000);
    return [{ connectionId: session.id, address: ip, user: 'repl', ageSeconds }];
  });
}
