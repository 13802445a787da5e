import { openFile, purge } from './binlog.ts';
import { newLink, startThreads, stopIo } from './link.ts';
import type { SimServer } from './server.ts';
import { applyTrx, currentPos, startServer, stopServer } from './server.ts';
import type { World } from './world.ts';
import { commit, flow, flowOne, holderOf, serversOf, wallOf } from './world.ts';

/** What happens to the servers, their hosts and their network, whoever does it. Numbers choose by remainder. */
export type WorldEvent =
  | { readonly kind: 'Write'; readonly count: number; readonly size: number }
  | { readonly kind: 'WriteOn'; readonly member: number; readonly count: number }
  | { readonly kind: 'Flow'; readonly count: number }
  | { readonly kind: 'FlowOne'; readonly server: number; readonly receive: number; readonly apply: number }
  | { readonly kind: 'Hold'; readonly server: number; readonly held: boolean }
  | { readonly kind: 'Hide'; readonly server: number; readonly hidden: boolean }
  | { readonly kind: 'Rotate'; readonly member: number }
  | { readonly kind: 'Purge'; readonly member: number; readonly count: number }
  | { readonly kind: 'ReadOnly'; readonly member: number; readonly readOnly: boolean }
  | { readonly kind: 'VipTo'; readonly members: readonly number[] }
  | { readonly kind: 'Promote'; readonly member: number; readonly drain: boolean }
  | { readonly kind: 'Demote'; readonly member: number }
  | { readonly kind: 'Unlink'; readonly member: number }
  | { readonly kind: 'Stop'; readonly member: number }
  /** Starts it, if it is down. */
  | { readonly kind: 'Revive'; readonly member: number }
  | {
      readonly kind: 'Start';
      readonly member: number;
      readonly clean: boolean;
      readonly lostTail: number;
      readonly engineToo: boolean;
    }
  | { readonly kind: 'RestartReplica'; readonly server: number };

/** Above the tolerance with which start times are compared. */
const RESTART_MS = 1_500;

export function memberAt(world: World, index: number): SimServer {
  return index % 2 === 0 ? world.members[0] : world.members[1];
}

export function otherOf(world: World, member: SimServer): SimServer {
  return member === world.members[0] ? world.members[1] : world.members[0];
}

function anyAt(world: World, index: number): SimServer {
  const all = serversOf(world);
  const server = all[index % all.length];
  if (server === undefined) throw new Error('no server');
  return server;
}

export function happen(world: World, event: WorldEvent): void {
  world.now += 5;
  switch (event.kind) {
    case 'Write': {
      const holder = holderOf(world);
      if (holder !== undefined && !holder.readOnly) many(event.count, () => commit(world, holder, event.size));
      return;
    }
    case 'WriteOn': {
      const member = memberAt(world, event.member);
      if (member.up) many(event.count, () => commit(world, member));
      return;
    }
    case 'Flow':
      flow(world, event.count);
      return;
    case 'FlowOne':
      flowOne(world, anyAt(world, event.server), event);
      return;
    case 'Hold': {
      const { link } = anyAt(world, event.server);
      if (link !== null) link.held = event.held;
      return;
    }
    case 'Hide':
      hide(world, anyAt(world, event.server).name, event.hidden);
      return;
    case 'Rotate': {
      const member = memberAt(world, event.member);
      if (member.up) openFile(member.binlog, wallOf(world), false);
      member.undo = [];
      return;
    }
    case 'Purge':
      purge(memberAt(world, event.member).binlog, event.count);
      return;
    case 'ReadOnly':
      memberAt(world, event.member).readOnly = event.readOnly;
      return;
    case 'VipTo':
      world.vip = [...new Set(event.members.map((index) => memberAt(world, index)))];
      return;
    default:
      happenToServer(world, event);
  }
}

type ServerEvent = Extract<
  WorldEvent,
  { kind: 'Promote' | 'Demote' | 'Unlink' | 'Stop' | 'Revive' | 'Start' | 'RestartReplica' }
>;

function happenToServer(world: World, event: ServerEvent): void {
  if (event.kind === 'RestartReplica') {
    const replica = world.replicas[event.server % world.replicas.length];
    if (replica !== undefined) restart(world, replica);
    return;
  }
  const member = memberAt(world, event.member);
  switch (event.kind) {
    case 'Promote':
      promote(member, event.drain);
      return;
    case 'Demote':
      demote(world, member);
      return;
    case 'Unlink':
      member.link = null;
      return;
    case 'Stop':
      stopServer(member);
      return;
    case 'Revive':
      if (!member.up) startServer(member, wallOf(world), { clean: true, lostTail: 0, engineToo: false });
      return;
    case 'Start':
      if (member.up) stopServer(member);
      world.now += RESTART_MS;
      loseTail(world, member, event);
      return;
    default:
      event satisfies never;
  }
}

function loseTail(world: World, member: SimServer, how: Extract<WorldEvent, { kind: 'Start' }>): void {
  for (const { token, gtid } of startServer(member, wallOf(world), how)) {
    if (world.replicas.some((one) => has(one, token))) continue;
    if (world.witnessed.has(token)) world.heardOnly.push({ token, member: member.name, gtid });
    else world.unheard.add(token);
  }
}

function has(server: SimServer, token: string): boolean {
  return server.rows.includes(token) || server.link?.relay.some(({ trx }) => trx.token === token) === true;
}

function many(count: number, what: () => void): void {
  for (let left = count; left > 0; left -= 1) what();
}

function hide(world: World, name: string, hidden: boolean): void {
  if (hidden) world.hidden.add(name);
  else world.hidden.delete(name);
}

function restart(world: World, replica: SimServer): void {
  world.now += RESTART_MS;
  stopServer(replica);
  startServer(replica, wallOf(world), { clean: true, lostTail: 0, engineToo: false });
}

/** A promotion script: stop receiving, wait for the relay log or not, forget the link, open for writing. */
function promote(member: SimServer, drain: boolean): void {
  if (!member.up) return;
  const { link } = member;
  if (link !== null) {
    stopIo(link);
    if (drain) for (const { trx } of link.relay.splice(0)) applyTrx(member, trx);
    if (drain) member.link = null;
  }
  member.readOnly = false;
}

/** The other becomes its source, from where it stands by GTID: MASTER_DEMOTE_TO_SLAVE. */
function demote(world: World, member: SimServer): void {
  if (!member.up) return;
  const source = otherOf(world, member);
  member.readOnly = true;
  member.slavePos = currentPos(member);
  member.undo = [];
  member.link = newLink(source.ip, 'Slave_Pos');
  startThreads(member, member.link, 'Both');
}
