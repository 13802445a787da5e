import { isDeepStrictEqual } from 'node:util';
import type { AcceptedReason } from '../../api/reasons.ts';
import type { ExternalReplica } from '../../api/v1alpha1.ts';
import type { Clock } from '../../clock.ts';
import { isRefusal } from '../../domain/fact.ts';
import type { Observation } from '../../domain/observation.ts';
import type { Pod } from '../../kube/objects.ts';
import { startLoop } from '../../observe/loop.ts';
import type { WatchedReplica, WatchedTargets } from '../../observe/watcher.ts';
import type { SqlConnect } from '../../sql/port.ts';
import { watchedReplica } from '../selection.ts';
import type { Wanted } from './accounts.ts';
import { createAccounts } from './accounts.ts';
import type { Named, ReplicationAccount } from './named.ts';
import { hostsOf, namedOf, secretNamesOf } from './named.ts';
import type { Refusal, RefusalReason } from './refusal.ts';
import type { Resolver } from './resolve.ts';
import type { SecretCache } from './secrets.ts';
import type { Selection } from './static.ts';
import { selectionOf } from './static.ts';

export type Acceptance =
  | {
      readonly ok: true;
      readonly targets: WatchedTargets;
      readonly replication: ReplicationAccount;
      readonly pods: readonly WatchedReplica[];
      /** What is refused meanwhile: what was accepted before goes on as far as the rest allows. */
      readonly refused: Refusal | null;
    }
  | {
      readonly ok: false;
      /** `NotLookedYet`: something was not asked yet or could not be asked, which says nothing against the resource. */
      readonly reason: AcceptedReason | 'NotLookedYet';
      readonly message: string;
    };

export interface AcceptInput {
  readonly resource: ExternalReplica;
  /** All pods that are known. */
  readonly pods: readonly Pod[];
  /** All other resources. */
  readonly others: readonly ExternalReplica[];
  /** What the looks see; null before the first acceptance. */
  readonly observation: Observation | null;
}

export interface CandidateOptions {
  readonly secrets: SecretCache;
  readonly resolver: Resolver;
  readonly connect: SqlConnect;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Another answer than the last is there. */
  readonly onChange: () => void;
}

/** One resource on its way to being accepted, and as long as it is. */
export interface Candidate {
  judge(input: AcceptInput): Acceptance;
  stop(): void;
}

/** With the age of Secrets (accept.ts) below a minute: a Secret that was broken after acceptance is noticed within 60 s. */
const CALM_MS = 18_000;
const JITTER = 0.1;
/** Where only the VIP is routed nobody knows the holder until its Secret is mended. */
const REFUSED_PUBLISHER_MS = 5_000;
/** The API server is left in peace while it cannot answer. */
const WAITING_MS = 1_000;
/** The informers bring the cure of these; asking again would not. */
const BY_SELECTION: ReadonlySet<string> = new Set<RefusalReason>([
  'NoReplicaSelected',
  'SelectedTwice',
  'ManagedByOther',
]);

export function createCandidate(first: AcceptInput, options: CandidateOptions): Candidate {
  const stopping = new AbortController();
  const signal = AbortSignal.any([options.signal, stopping.signal]);
  const accounts = createAccounts({ ...options, signal });
  const select = createSelect();
  const acceptedBefore = acceptedGeneration(first.resource);
  const followedBefore = first.resource.status.replicas.some(({ baseline }) => baseline !== undefined);
  let input = first;
  let told: Acceptance | null = null;
  /** What was accepted last: it is followed and protected, whatever is refused since. */
  let working: Extract<Acceptance, { ok: true }> | null = null;
  let latest: Acceptance | null = null;
  const loop = startLoop({ look: round, pauseMs });
  signal.addEventListener('abort', () => loop.stop(), { once: true });
  return { judge, stop: () => stopping.abort() };

  function judge(next: AcceptInput): Acceptance {
    const isNewSpec = next.resource.metadata.generation !== input.resource.metadata.generation;
    input = next;
    told = conclude();
    if (told.ok) working = told;
    latest = told;
    const named = namedNow();
    if (isNewSpec || (named.state === 'Found' && accounts.isUrgent(wanted(named)))) loop.wake();
    return told;
  }

  function conclude(): Acceptance {
    const named = namedNow();
    const { refusal, pods } = select(input);
    // Pods that are somebody else's are not acted upon, whatever was accepted before.
    if (refusal !== null) return refuse(named.state === 'Refused' ? named.refusal : refusal);
    if (named.state === 'Refused') return goOn(pods, named.refusal) ?? refuse(named.refusal);
    if (named.state === 'Waiting') {
      return goOn(pods, working?.refused ?? null) ?? { ok: false, reason: 'NotLookedYet', message: named.message };
    }
    return concludeAccounts(named, pods);
  }

  function concludeAccounts(named: Extract<Named, { state: 'Found' }>, pods: readonly WatchedReplica[]): Acceptance {
    const { targets, replication } = named;
    const standing = accounts.standing(wanted(named));
    // A new pod without its account must not stop its siblings, least of all in the middle of a failover.
    const tolerated = standing.partial && wasAccepted();
    if (standing.refusal !== null && !tolerated) {
      const going = goOn(pods, standing.refusal);
      if (going !== null || !followedBefore) return going ?? refuse(standing.refusal);
      return { ok: true, targets, replication, pods, refused: standing.refusal };
    }
    // Looks with what was never tried could all fail at once, and a source that seems dead is acted upon.
    if (standing.unchecked && working !== null) return { ...working, pods };
    if (!standing.unchecked || wasAccepted()) return { ok: true, targets, replication, pods, refused: null };
    return told ?? { ok: false, reason: 'NotLookedYet', message: 'the accounts were not checked yet' };
  }

  /** With the accounts and addresses that worked. */
  function goOn(pods: readonly WatchedReplica[], refused: Refusal | null): Acceptance | null {
    return working === null ? null : { ...working, pods, refused };
  }

  /** What was accepted once stays so until something speaks against it, also by the process before this one. */
  function wasAccepted(): boolean {
    if (told !== null && (told.ok || told.reason !== 'NotLookedYet')) return told.ok;
    return acceptedBefore === input.resource.metadata.generation;
  }

  async function round(): Promise<void> {
    const { spec, metadata } = input.resource;
    const how = { fresh: isSuspect() };
    const { namespace } = metadata;
    await Promise.all([
      ...secretNamesOf(spec).map((name) => options.secrets.get({ namespace, name }, how)),
      ...hostsOf(spec).map((host) => options.resolver.resolve(host, how)),
    ]);
    // What was accepted before goes on with this; a server that does not answer holds the checks up.
    tell();
    const named = namedNow();
    if (named.state === 'Found') await accounts.check(wanted(named));
    tell();
  }

  function tell(): void {
    latest = conclude();
    if (!signal.aborted && !isDeepStrictEqual(latest, told)) options.onChange();
  }

  /** Whether what is known by name may be what is wrong: then its age does not matter. */
  function isSuspect(): boolean {
    const reason = troubleOf(latest);
    if (reason !== null) return !BY_SELECTION.has(reason);
    if (publisherRefuses(input.observation)) return true;
    return looksOf(input.observation).some((look) => !look.known && look.code === 'AccessDenied');
  }

  function pauseMs(): number {
    const reason = troubleOf(latest);
    if (reason === null || BY_SELECTION.has(reason)) {
      const calmMs = publisherRefuses(input.observation) ? REFUSED_PUBLISHER_MS : CALM_MS;
      return calmMs * (1 - JITTER * Math.random());
    }
    const { probeIntervalMs } = input.resource.spec.detection;
    return reason === 'NotLookedYet' ? Math.max(WAITING_MS, probeIntervalMs) : probeIntervalMs;
  }

  function namedNow(): Named {
    const { spec, metadata } = input.resource;
    return namedOf(spec, {
      secret: (name) => options.secrets.peek({ namespace: metadata.namespace, name }),
      address: (host) => options.resolver.peek(host),
    });
  }

  /** Pods that may not be acted upon are not asked anything either. */
  function wanted(named: Extract<Named, { state: 'Found' }>): Wanted {
    const { refusal, pods } = select(input);
    const { resource, observation } = input;
    return { spec: resource.spec, named, pods: refusal === null ? pods : [], observation };
  }
}

/** The generation that the status says was accepted; null: none. */
function acceptedGeneration({ status }: ExternalReplica): number | null {
  const before = status.conditions.find(({ type }) => type === 'Accepted');
  return before?.status === 'True' ? (before.observedGeneration ?? null) : null;
}

/** What is to be asked about again soon; null: nothing. */
function troubleOf(acceptance: Acceptance | null): string | null {
  if (acceptance === null) return null;
  return acceptance.ok ? (acceptance.refused?.reason ?? null) : acceptance.reason;
}

function refuse({ reason, message }: Refusal): Acceptance {
  return { ok: false, reason, message };
}

function looksOf(observation: Observation | null) {
  if (observation === null) return [];
  return [observation.vip, ...observation.members, ...observation.replicas].map(({ look }) => look);
}

function publisherRefuses(observation: Observation | null): boolean {
  const members = observation?.members ?? [];
  return members.some(({ publisher }) => publisher !== undefined && isRefusal(publisher));
}

interface Selected extends Pick<Selection, 'refusal'> {
  readonly pods: readonly WatchedReplica[];
}

/** Every pass asks, and thousands of pods and resources are compared: only when one of them changed. */
function createSelect(): (input: AcceptInput) => Selected {
  let last: { readonly input: AcceptInput; readonly selected: Selected } | null = null;
  return (input) => {
    if (last !== null && selectsAlike(last.input, input)) {
      // Asked several times in one pass: the same input is known at sight.
      last = { ...last, input };
      return last.selected;
    }
    const { pods, refusal } = selectionOf(input.resource, input.pods, input.others);
    last = { input, selected: { pods: pods.map(watchedReplica), refusal } };
    return last.selected;
  };
}

function selectsAlike(a: AcceptInput, b: AcceptInput): boolean {
  if (a === b) return true;
  const sameSpec = isSameVersion(a.resource, b.resource) && a.others.length === b.others.length;
  if (!sameSpec || a.pods.length !== b.pods.length) return false;
  // Informers replace what changed, so what is the same object did not.
  if (a.pods.some((pod, index) => pod !== b.pods[index])) return false;
  return a.others.every((other, index) => isSameVersion(other, b.others[index]));
}

function isSameVersion(a: ExternalReplica, b: ExternalReplica | undefined): boolean {
  return a.metadata.uid === b?.metadata.uid && a.metadata.generation === b.metadata.generation;
}
