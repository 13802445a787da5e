import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Fact } from '../domain/fact.ts';
import { NOT_ASKED_YET } from '../domain/fact.ts';
import type { MemberObservation, Observation, ReplicaObservation, ServerLook } from '../domain/observation.ts';
import type { SqlConnect, SqlTarget } from '../sql/port.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { Loop } from './loop.ts';
import { startLoop } from './loop.ts';
import type { ServerProbe } from './probe.ts';
import { createServerProbe } from './probe.ts';
import { createVipProbe } from './vip.ts';

export interface WatchedMember {
  /** Its spec name. */
  readonly name: string;
  readonly match: MemberObservation['match'];
  readonly target: SqlTarget;
}

export interface WatchedTargets {
  readonly vip: SqlTarget;
  readonly members: readonly WatchedMember[];
  /** Name and host come from the pod. */
  readonly replica: Omit<SqlTarget, 'name' | 'host'>;
}

export type WatchedReplica = Pick<ReplicaObservation, 'pod' | 'podUid' | 'ip' | 'podReady' | 'labelledServing'>;

export interface WatcherOptions {
  readonly targets: WatchedTargets;
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
  readonly connect: SqlConnect;
  readonly clock: Clock;
  /** Called when something that matters changed, never on each look. It must only enqueue. */
  readonly onChange: () => void;
}

/** Calm: `probeIntervalMs`. Fast: as fast as looks come, while a handover is under way. */
export const PACES = ['calm', 'fast'] as const;
export type Pace = (typeof PACES)[number];

export interface WantedLooks {
  readonly vip?: boolean;
  /** Member names. */
  readonly members?: readonly string[];
  /** Pod names. */
  readonly replicas?: readonly string[];
}

/** Watches the VIP, the members and the replicas of one resource, each in a loop of its own. */
export interface Watcher {
  observation(): Observation;
  /** Changed accounts and addresses: the sessions concerned are opened anew, the incarnations seen are kept. */
  setTargets(targets: WatchedTargets): void;
  setReplicas(replicas: readonly WatchedReplica[]): void;
  setPace(pace: Pace): void;
  /** Resolves when a look that began after this call has answered or failed for each named target, or at the deadline. */
  lookNow(wanted: WantedLooks, deadlineMs: number): Promise<void>;
  stop(): void;
}

interface Watched {
  target: SqlTarget;
  readonly probe: ServerProbe;
  readonly loop: Loop;
  fact: Fact<ServerLook>;
}

const FAST_PAUSE_MS = 15;
/** Looks drift apart, so that a thousand resources do not ask at the same moment. */
const JITTER = 0.1;
const FILES_EVERY_MS = 10_000;

export function createWatcher(options: WatcherOptions): Watcher {
  const { clock, connect, probeIntervalMs, probeTimeoutMs } = options;
  const nonce = randomUUID();
  const members = new Map<string, Watched>();
  const replicas = new Map<string, Watched>();
  let { targets } = options;
  let pods: readonly WatchedReplica[] = [];
  let pace: Pace = 'calm';
  let told = '';
  let stopped = false;

  const vip = createVipProbe({
    target: () => targets.vip,
    connect,
    clock,
    locks: () => Object.fromEntries(targets.members.map(({ name }) => [name, lockName(name)])),
    full: () => [...members.values()].some(({ fact }) => !fact.known && fact !== NOT_ASKED_YET),
  });
  setTargets(targets);
  const vipLoop = startLoop({
    clock,
    look: async () => {
      await vip.probe({ deadlineMs: probeTimeoutMs });
      tellChange();
    },
    pauseMs: () => (vip.observation().failures > 0 ? FAST_PAUSE_MS : calmPauseMs()),
  });

  return { observation, setTargets, setReplicas, setPace, lookNow, stop };

  function lockName(member: string): string {
    return `mxr.dev/${nonce.slice(0, 18)}/${targets.members.findIndex(({ name }) => name === member)}`;
  }

  function calmPauseMs(): number {
    return probeIntervalMs * (1 - JITTER * Math.random());
  }

  function watch(target: SqlTarget, lock: string | null): Watched {
    const lockOption = lock === null ? {} : { lockName: lock };
    const probe = createServerProbe({ target: () => watched.target, connect, clock, ...lockOption });
    let filesAt = Number.NEGATIVE_INFINITY;
    const watched: Watched = { target, probe, fact: NOT_ASKED_YET, loop: startLoop({ clock, look, pauseMs }) };
    return watched;

    async function look(): Promise<void> {
      // The loop begins before `watched` exists.
      await Promise.resolve();
      const files = clock.monotonicMs() - filesAt >= FILES_EVERY_MS;
      watched.fact = await probe.probe({ deadlineMs: probeTimeoutMs, files });
      if (files && watched.fact.known) filesAt = watched.fact.at;
      tellChange();
    }
    function pauseMs(): number {
      return pace === 'fast' ? FAST_PAUSE_MS : calmPauseMs();
    }
  }

  function setTargets(next: WatchedTargets): void {
    targets = next;
    const wanted = new Map(next.members.map(({ name, target }) => [name, target]));
    sync(members, wanted, (target, name) => watch(target, lockName(name)));
    setReplicas(pods);
  }

  function setReplicas(next: readonly WatchedReplica[]): void {
    pods = next;
    const wanted = new Map<string, SqlTarget>();
    for (const { pod, podUid, ip } of next) {
      if (ip !== null) wanted.set(keyOf(pod, podUid), { ...targets.replica, name: `replica ${pod}`, host: ip });
    }
    sync(replicas, wanted, (target) => watch(target, null));
    tellChange();
  }

  function setPace(next: Pace): void {
    const faster = pace === 'calm' && next === 'fast';
    pace = next;
    if (faster) for (const { loop } of [...members.values(), ...replicas.values()]) loop.wake();
  }

  async function lookNow(wanted: WantedLooks, deadlineMs: number): Promise<void> {
    const chosen = [
      ...(wanted.members ?? []).map((name) => members.get(name)),
      ...pods
        .filter(({ pod }) => wanted.replicas?.includes(pod))
        .map((one) => replicas.get(keyOf(one.pod, one.podUid))),
    ];
    const loops = chosen.flatMap((watched) => (watched === undefined ? [] : [watched.loop]));
    if (wanted.vip === true) loops.push(vipLoop);
    await Promise.all(loops.map((loop) => loop.lookNow(deadlineMs)));
  }

  function observation(): Observation {
    return {
      now: clock.monotonicMs(),
      wallNow: clock.wallMs(),
      vip: vip.observation(),
      members: targets.members.map((member) => observeMember(member, members.get(member.name))),
      replicas: pods.map((pod) => observeReplica(pod, replicas.get(keyOf(pod.pod, pod.podUid)))),
    };
  }

  function tellChange(): void {
    if (stopped) return;
    const fingerprint = fingerprintOf(observation(), pace === 'fast');
    if (fingerprint === told) return;
    told = fingerprint;
    options.onChange();
  }

  function stop(): void {
    stopped = true;
    vipLoop.stop();
    vip.close();
    sync(members, new Map(), neverMade);
    sync(replicas, new Map(), neverMade);
  }
}

function keyOf(pod: string, podUid: string): string {
  return `${pod}/${podUid}`;
}

/** Makes the watched set the wanted one: new ones are begun, gone ones stopped, changed targets dialled anew. */
function sync(
  watched: Map<string, Watched>,
  wanted: ReadonlyMap<string, SqlTarget>,
  make: (target: SqlTarget, key: string) => Watched,
): void {
  for (const [key, one] of watched) {
    if (wanted.has(key)) continue;
    one.loop.stop();
    one.probe.close();
    watched.delete(key);
  }
  for (const [key, target] of wanted) {
    const one = watched.get(key);
    if (one === undefined) watched.set(key, make(target, key));
    else if (!sameTarget(one.target, target)) {
      one.target = target;
      one.probe.reset();
      one.loop.wake();
    }
  }
}

function neverMade(): never {
  throw new Error('nothing is watched after the stop');
}

function sameTarget(a: SqlTarget, b: SqlTarget): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function observeMember({ name, match, target }: WatchedMember, watched: Watched | undefined): MemberObservation {
  const incarnation = watched?.probe.incarnation() ?? null;
  return {
    name,
    host: target.host,
    port: target.port,
    match,
    look: watched?.fact ?? NOT_ASKED_YET,
    lockHeldBy: watched?.probe.lockHeldBy() ?? null,
    incarnation: incarnation?.count ?? 0,
    incarnationSince: incarnation?.since ?? Number.NEGATIVE_INFINITY,
  };
}

function observeReplica(pod: WatchedReplica, watched: Watched | undefined): ReplicaObservation {
  return { ...pod, incarnation: watched?.probe.incarnation()?.count ?? 0, look: watched?.fact ?? NOT_ASKED_YET };
}
