import type { Fact } from '../../../src/domain/fact.ts';
import { known, NOT_ASKED_YET, unknown } from '../../../src/domain/fact.ts';
import type { Observation, ServerLook, VipLook, VipObservation } from '../../../src/domain/observation.ts';
import type { Watcher } from '../../../src/observe/watcher.ts';
import { sameIdentity } from '../../../src/observe/incarnation.ts';
import { entriesOf } from './binlog.ts';
import { lookOf } from './look.ts';
import type { SimServer } from './server.ts';
import type { World } from './world.ts';
import { dumpsOf, serversOf, wallOf } from './world.ts';

interface Seen {
  fact: Fact<ServerLook>;
  life: number;
}

/** What one mxr process has seen: looks are taken when the history says so, and stay as they are until the next. */
export interface SimWatcher extends Watcher {
  look(name: string): void;
  /** Transactions in the binlog of a server when it was looked at last. */
  readonly looked: ReadonlyMap<string, readonly string[]>;
  probeVip(): void;
}

export function simWatcher(world: World, labelled: ReadonlySet<string>): SimWatcher {
  const seen = new Map<string, Seen>();
  let vip: VipObservation = { look: NOT_ASKED_YET, failures: 0, silentSince: null, answersSince: null };
  let probes = 0;
  const looked = new Map<string, readonly string[]>();
  return { observation, look, looked, probeVip, setTargets, setReplicas, setPace, setTiming, lookNow, stop };

  function setTargets(): void {}
  function setReplicas(): void {}
  function setPace(): void {}
  function setTiming(): void {}
  function stop(): void {}

  function lookNow(wanted: {
    vip?: boolean;
    members?: readonly string[];
    replicas?: readonly string[];
  }): Promise<void> {
    if (wanted.vip === true) probeVip();
    for (const name of [...(wanted.members ?? []), ...(wanted.replicas ?? [])]) look(name);
    return Promise.resolve();
  }

  /** Each look begins at a moment of its own. */
  function moment(): number {
    world.now += 1;
    return world.now;
  }

  function look(name: string): void {
    const server = serversOf(world).find((one) => one.name === name);
    if (server === undefined) throw new Error(`no server ${name}`);
    const at = moment();
    const before = seen.get(name)?.life ?? server.life;
    const reachable = server.up && !world.hidden.has(name);
    if (reachable)
      looked.set(
        name,
        entriesOf(server.binlog).map(({ entry }) => entry.trx.token),
      );
    const fact = reachable ? known(lookOf(server, dumpsOf(world, server)), at) : unknown('Deadline', 'no answer', at);
    seen.set(name, { fact, life: reachable ? server.life : before });
  }

  function probeVip(): void {
    const at = moment();
    probes += 1;
    const claimants = world.vip.filter((member) => member.up);
    const server = claimants[probes % Math.max(1, claimants.length)];
    const previous = vip;
    if (server === undefined || world.hidden.has('vip')) {
      const refused = world.vip.length > 0 && !world.hidden.has('vip');
      const look = unknown(refused ? 'ConnectionRefused' : 'Deadline', 'no answer', at);
      const silentSince = previous.silentSince ?? at;
      vip = { look, failures: previous.failures + 1, silentSince, answersSince: null };
      return;
    }
    const look = known(vipLook(server), at);
    const same = previous.look.known && sameIdentity(previous.look.value.identity, look.value.identity);
    vip = { look, failures: 0, silentSince: null, answersSince: same ? previous.answersSince : at };
  }

  function vipLook(server: SimServer): VipLook {
    const full = lookOf(server, dumpsOf(world, server));
    const owners = world.members.map((member) => [member.name, member === server ? lockOf(member) : null] as const);
    const alone = owners.every(([, owner]) => owner === null);
    const { identity, readOnly } = full;
    return { identity, readOnly, lockOwners: Object.fromEntries(owners), look: alone ? full : null };
  }

  /** The connection that holds this process's lock on a member, while the session lives. */
  function lockOf(member: SimServer): number | null {
    const one = seen.get(member.name);
    const alive = one?.fact.known === true && one.life === member.life && member.up;
    return alive ? 7 : null;
  }

  function observation(): Observation {
    return {
      now: world.now,
      wallNow: wallOf(world),
      vip,
      members: world.members.map((member) => ({
        name: member.name,
        host: member.ip,
        port: 3306,
        match: null,
        look: seen.get(member.name)?.fact ?? NOT_ASKED_YET,
        lockHeldBy: lockOf(member),
        incarnation: seen.get(member.name)?.life ?? 0,
        incarnationSince: 0,
      })),
      replicas: world.replicas.map((replica) => ({
        pod: replica.name,
        podUid: `uid-${replica.name}`,
        ip: replica.ip,
        podReady: true,
        labelledServing: labelled.has(replica.name),
        incarnation: seen.get(replica.name)?.life ?? 0,
        look: seen.get(replica.name)?.fact ?? NOT_ASKED_YET,
      })),
    };
  }
}
