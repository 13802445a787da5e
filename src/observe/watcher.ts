import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { MemberObservation, Observation, ReplicaObservation } from '../domain/observation.ts';
import type { PublisherTarget } from '../publisher/client.ts';
import type { SqlConnect, SqlTarget } from '../sql/port.ts';
import { markOfVip } from './fingerprint.ts';
import { createBudget, HEDGES_PER_SECOND, HURRIED_LOOKS_PER_SECOND } from './budget.ts';
import type { PublisherPort, WatchedPublisher } from './publisher.ts';
import { publishersOverHttp, watchPublisher } from './publisher.ts';
import type { Pace, Timing, Watched } from './watched.ts';
import { observeMember, observeReplica, startWatched } from './watched.ts';
import { startVipProbe } from './vip.ts';

export interface WatchedMember {
  /** Its spec name. */
  readonly name: string;
  readonly match: MemberObservation['match'];
  readonly target: SqlTarget;
  /** Absent: there is none. */
  readonly publisher?: PublisherTarget;
}

export interface WatchedTargets {
  readonly vip: SqlTarget;
  readonly members: readonly WatchedMember[];
  /** Name and host come from the pod. */
  readonly replica: Omit<SqlTarget, 'name' | 'host'>;
}

export type WatchedReplica = Pick<ReplicaObservation, 'pod' | 'podUid' | 'ip' | 'podReady' | 'labelledServing'>;

export interface WatcherOptions extends Timing {
  readonly targets: WatchedTargets;
  readonly connect: SqlConnect;
  readonly clock: Clock;
  /** Called when something that matters changed, never on each look. It must only enqueue. */
  readonly onChange: () => void;
  /** Shared by all watchers of the process (src/observe/budget.ts); default: a budget of its own. */
  readonly mayHedge?: () => boolean;
  readonly mayHurry?: () => boolean;
  /** Default: over HTTP. */
  readonly publishers?: PublisherPort;
}

export interface WantedLooks {
  readonly vip?: boolean;
  /** Member names. */
  readonly members?: readonly string[];
  /** Pod names. */
  readonly replicas?: readonly string[];
  /** Ask the named servers for their binlog files too: else these are up to ten seconds old. */
  readonly files?: boolean;
}

/** Names. */
export interface Urgent {
  readonly members: ReadonlySet<string>;
  readonly pods: ReadonlySet<string>;
}

const NOBODY: Urgent = { members: new Set(), pods: new Set() };

/** Watches the VIP, the members and the replicas of one resource, each in a loop of its own. */
export interface Watcher {
  observation(): Observation;
  /** Changed accounts and addresses: the sessions concerned are opened anew, the incarnations seen are kept. */
  setTargets(targets: WatchedTargets): void;
  setReplicas(replicas: readonly WatchedReplica[]): void;
  /** A changed probe interval or timeout. Sessions and incarnations are kept. */
  setTiming(timing: Timing): void;
  /** `fast` while a handover is under way, else `calm`; `urgent`: who is looked at as fast as looks come. */
  setPace(pace: Pace, urgent?: Urgent): void;
  /** Resolves when a look that began after this call has answered or failed for each named target, or at the deadline. */
  lookNow(wanted: WantedLooks, deadlineMs: number): Promise<void>;
  /** Ends all loops and sessions. */
  stop(): void;
}

export function createWatcher(options: WatcherOptions): Watcher {
  const { clock, connect } = options;
  const locks = `mxr.dev/${randomUUID()}`;
  const members = new Map<string, Watched>();
  const replicas = new Map<string, Watched>();
  const publishers = new Map<string, WatchedPublisher>();
  const overHttp = publishersOverHttp();
  // A watcher that is made later begins higher: its numbers are never those of this one.
  const mayHurry = options.mayHurry ?? createBudget(clock, HURRIED_LOOKS_PER_SECOND);
  let number = Math.floor(clock.monotonicMs());
  let timing: Timing = options;
  let { targets } = options;
  let pods: readonly WatchedReplica[] = [];
  let pace: Pace = 'calm';
  let urgent: Urgent = NOBODY;
  let vipMark = '';
  let stopped = false;

  const vip = startVipProbe({
    target: () => targets.vip,
    connect,
    clock,
    timing: () => timing,
    locks: () => Object.fromEntries(targets.members.map(({ name }) => [name, lockOf(name)])),
    unasked: () => [...members].flatMap(([name, { probe }]) => (probe.fact().known ? [] : name)),
    mayHedge: options.mayHedge ?? createBudget(clock, HEDGES_PER_SECOND),
    hurry: () => pace === 'fast',
    onLook: tellVip,
  });
  setTargets(targets);
  return { observation, setTargets, setReplicas, setTiming, setPace, lookNow, stop };

  /** At most 64 characters, by the server's rule; member names may be as long. */
  function lockOf(member: string): string {
    return `${locks}/${targets.members.findIndex(({ name }) => name === member)}`;
  }

  function newNumber(): number {
    number += 1;
    return number;
  }

  function watch(target: SqlTarget, isUrgent: () => boolean, lock?: () => string): Watched {
    const { onChange } = options;
    // While nobody answers at the VIP, what is to be known by then settles long before.
    const hurries = (): boolean => vip.observation().look.known && isUrgent();
    const timed = { timing: () => timing, pace: () => pace, urgent: hurries };
    const shared = { connect, clock, onChange, newNumber, mayHurry, ...timed };
    if (lock === undefined) return startWatched({ ...shared, target });
    // A lost session to a member may be a move: the VIP is asked at once.
    return startWatched({ ...shared, target, lock, onLost: () => void vip.lookNow(0) });
  }

  /** What a publisher says is looked at directly, never believed; it is in nobody's way. */
  function listen(target: PublisherTarget, member: string): WatchedPublisher {
    const { onChange, publishers: port = overHttp } = options;
    const answersSince = (): number | null => vip.observation().answersSince;
    const shared = { clock, onChange, mayHurry, timing: () => timing, pace: () => pace };
    return watchPublisher({ ...shared, target, port, answersSince, onNews: () => hearOf(member) });
  }

  /** Of the others it says nothing, and they are told of by their own. */
  function hearOf(member: string): void {
    void vip.lookNow(0);
    members.get(member)?.wake();
  }

  function setTargets(next: WatchedTargets): void {
    targets = next;
    const wanted = new Map(next.members.map(({ name, target }) => [name, target]));
    sync(members, wanted, (target, name) =>
      watch(
        target,
        () => urgent.members.has(name),
        () => lockOf(name),
      ),
    );
    const told = next.members.flatMap(({ name, publisher }) => (publisher ? [[name, publisher] as const] : []));
    sync(publishers, new Map(told), listen);
    setReplicas(pods);
  }

  function setReplicas(next: readonly WatchedReplica[]): void {
    pods = next;
    const wanted = new Map<string, SqlTarget>();
    const names = new Map(next.map((pod) => [keyOf(pod), pod.pod]));
    for (const pod of next) {
      if (pod.ip !== null) wanted.set(keyOf(pod), { ...targets.replica, name: `replica ${pod.pod}`, host: pod.ip });
    }
    sync(replicas, wanted, (target, key) => watch(target, () => urgent.pods.has(names.get(key) ?? '')));
  }

  function setTiming({ probeIntervalMs, probeTimeoutMs }: Timing): void {
    if (probeIntervalMs === timing.probeIntervalMs && probeTimeoutMs === timing.probeTimeoutMs) return;
    timing = { probeIntervalMs, probeTimeoutMs };
    void vip.lookNow(0);
    wakeAll();
  }

  function setPace(next: Pace, now: Urgent = NOBODY): void {
    const before = urgent;
    const faster = pace === 'calm' && next === 'fast';
    [pace, urgent] = [next, now];
    if (faster) return wakeAll();
    for (const name of now.members) if (!before.members.has(name)) members.get(name)?.wake();
    for (const pod of pods) if (now.pods.has(pod.pod) && !before.pods.has(pod.pod)) replicas.get(keyOf(pod))?.wake();
  }

  function wakeAll(): void {
    for (const one of [...members.values(), ...replicas.values(), ...publishers.values()]) one.wake();
  }

  async function lookNow(wanted: WantedLooks, deadlineMs: number): Promise<void> {
    const chosen = [
      ...(wanted.members ?? []).map((name) => members.get(name)),
      ...pods.filter(({ pod }) => wanted.replicas?.includes(pod) === true).map((pod) => replicas.get(keyOf(pod))),
    ];
    const looks = chosen.map((one) => one?.lookNow({ deadlineMs, files: wanted.files === true }));
    await Promise.all([...looks, wanted.vip === true ? vip.lookNow(deadlineMs) : undefined]);
  }

  function observation(): Observation {
    return {
      now: clock.monotonicMs(),
      wallNow: clock.wallMs(),
      vip: vip.observation(),
      members: targets.members.map(({ name, match, target }) => ({
        name,
        match,
        host: target.host,
        port: target.port,
        ...observeMember(members.get(name)),
        ...publishedOf(publishers.get(name)),
      })),
      replicas: pods.map((pod) => ({ ...pod, ...observeReplica(replicas.get(keyOf(pod))) })),
    };
  }

  function tellVip(): void {
    const mark = markOfVip(vip.observation());
    if (mark === vipMark || stopped) return;
    vipMark = mark;
    options.onChange();
    // Looks that began since the VIP answers are waited for.
    if (pace === 'fast') wakeAll();
    else for (const publisher of publishers.values()) publisher.wake();
  }

  function stop(): void {
    stopped = true;
    vip.stop();
    for (const watched of [members, replicas, publishers]) {
      for (const one of watched.values()) one.stop();
      watched.clear();
    }
    overHttp.close();
  }
}

/** Pod names are used again by other pods, which are other servers. */
function keyOf({ pod, podUid }: WatchedReplica): string {
  return `${pod}/${podUid}`;
}

function publishedOf(publisher: WatchedPublisher | undefined): Pick<MemberObservation, 'publisher'> {
  return publisher === undefined ? {} : { publisher: publisher.fact() };
}

interface Retargeted<T> {
  retarget(target: T): void;
  stop(): void;
}

/** Makes the watched set the wanted one: new ones are begun, gone ones stopped, changed targets dialled anew. */
function sync<T, W extends Retargeted<T>>(
  watched: Map<string, W>,
  wanted: ReadonlyMap<string, T>,
  start: (target: T, key: string) => W,
): void {
  for (const [key, one] of watched) {
    if (wanted.has(key)) continue;
    one.stop();
    watched.delete(key);
  }
  for (const [key, target] of wanted) {
    const one = watched.get(key);
    if (one === undefined) watched.set(key, start(target, key));
    else one.retarget(target);
  }
}
