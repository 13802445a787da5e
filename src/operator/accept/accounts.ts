import { isDeepStrictEqual } from 'node:util';
import type { Spec } from '../../api/v1alpha1.ts';
import type { Clock } from '../../clock.ts';
import type { Fact } from '../../domain/fact.ts';
import type { Observation } from '../../domain/observation.ts';
import type { WatchedReplica } from '../../observe/watcher.ts';
import type { SqlConnect, SqlTarget } from '../../sql/port.ts';
import type { AccountAnswer, AccountCheck } from './grants.ts';
import { checkAccount } from './grants.ts';
import type { Named } from './named.ts';
import type { Refusal, RefusalReason } from './refusal.ts';
import { together } from './refusal.ts';

export interface Wanted {
  readonly spec: Spec;
  readonly named: Extract<Named, { state: 'Found' }>;
  readonly pods: readonly WatchedReplica[];
  readonly observation: Observation | null;
}

export interface AccountsOptions {
  readonly connect: SqlConnect;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The accounts of one resource, each checked on each server where it is used. */
export interface Accounts {
  /** What is known now. `unchecked`: a server was never asked about the account as it is now. */
  standing(wanted: Wanted): Standing;
  /** Whether a check is due that should not wait for the next round. */
  isUrgent(wanted: Wanted): boolean;
  /** Asks every server whose check is due. Never rejects. */
  check(wanted: Wanted): Promise<void>;
}

export interface Standing {
  readonly refusal: Refusal | null;
  readonly unchecked: boolean;
  /** Only some of the replicas refuse: the others can be served without them. */
  readonly partial: boolean;
}

interface Checked {
  readonly check: AccountCheck;
  readonly answer: AccountAnswer;
  /** Monotonic ms at which it began. */
  readonly at: number;
}

interface Server {
  /** Of the server and the use. */
  readonly id: string;
  readonly check: AccountCheck;
  /** What the looks at this server say; null: nobody looks yet. */
  readonly fact: Fact<unknown> | null;
}

/** With the pause between two rounds (candidate.ts) below a minute, as for Secrets: a revoked grant is noticed within it. */
const CALM_MS = 40_000;
const REFUSALS_IN_ORDER: readonly RefusalReason[] = ['AccessDenied', 'TlsRefused', 'UnsupportedServer', 'GrantMissing'];
const REFUSING_CODES: ReadonlySet<string> = new Set(['AccessDenied', 'TlsRefused', 'GrantMissing']);

export function createAccounts(options: AccountsOptions): Accounts {
  const { clock } = options;
  let checked = new Map<string, Checked>();
  return { standing, isUrgent, check };

  function last({ id, check: now }: Server): Checked | undefined {
    const before = checked.get(id);
    return before !== undefined && isDeepStrictEqual(before.check, now) ? before : undefined;
  }

  function standing(wanted: Wanted): Standing {
    const servers = serversOf(wanted, isSilent);
    const answers = servers.map(last);
    const refusals = answers.flatMap((one) => (one?.answer.state === 'Refused' ? [one.answer.refusal] : []));
    const reason = REFUSALS_IN_ORDER.find((one) => refusals.some((refusal) => refusal.reason === one));
    const messages = refusals.filter((refusal) => refusal.reason === reason).map(({ message }) => message);
    const unchecked = answers.includes(undefined);
    const refusal = reason === undefined ? null : { reason, message: together(messages) };
    return {
      refusal,
      unchecked,
      partial: isPartial(servers.map((server) => ({ server, answer: last(server)?.answer }))),
    };
  }

  function isUrgent(wanted: Wanted): boolean {
    return serversOf(wanted, isSilent).some((server) => last(server) === undefined || contradicts(server, wanted));
  }

  /** A look newer than the check says something else about the account, or has reached what the check could not. */
  function contradicts(server: Server, { spec }: Wanted): boolean {
    const before = last(server);
    const { fact } = server;
    if (before === undefined || fact === null || fact.at <= before.at) return false;
    if (!fact.known) return before.answer.state !== 'Refused' && REFUSING_CODES.has(fact.code);
    return before.answer.state === 'Unknown' && fact.at - before.at > spec.detection.probeIntervalMs;
  }

  function isDue(server: Server, wanted: Wanted): boolean {
    const before = last(server);
    if (before === undefined || before.answer.state === 'Refused') return true;
    return clock.monotonicMs() - before.at >= CALM_MS || contradicts(server, wanted);
  }

  async function check(wanted: Wanted): Promise<void> {
    const direct = serversOf(wanted, () => false);
    await ask(direct, wanted);
    // Now it is known whether the VIP has to be asked too.
    const all = serversOf(wanted, isSilent);
    const asked = new Set(direct.map(({ id }) => id));
    await ask(
      all.filter(({ id }) => !asked.has(id)),
      wanted,
    );
    const ids = new Set(all.map(({ id }) => id));
    checked = new Map([...checked].filter(([id]) => ids.has(id)));
  }

  async function ask(servers: readonly Server[], wanted: Wanted): Promise<void> {
    const deadlineMs = wanted.spec.detection.probeTimeoutMs;
    const due = servers.filter((server) => isDue(server, wanted));
    await Promise.all(
      due.map(async ({ id, check: asked }) => {
        const at = clock.monotonicMs();
        const answer = await checkAccount(asked, { ...options, deadlineMs });
        checked.set(id, { check: asked, answer, at });
      }),
    );
  }

  /** A member that cannot be asked directly may still be the one behind the VIP. */
  function isSilent(member: string): boolean {
    return checked.get(idOf('look', `member ${member}`))?.answer.state === 'Unknown';
  }
}

function isPartial(
  answers: readonly { readonly server: Server; readonly answer: AccountAnswer | undefined }[],
): boolean {
  const onReplica = (server: Server): boolean => server.check.use === 'replica';
  const refusing = answers.filter(({ answer }) => answer?.state === 'Refused');
  const passing = answers.filter(({ server, answer }) => onReplica(server) && answer?.state === 'Fine');
  return passing.length > 0 && refusing.every(({ server }) => onReplica(server));
}

function idOf(use: AccountCheck['use'], server: string): string {
  return `${use} ${server}`;
}

function serversOf(wanted: Wanted, isSilent: (member: string) => boolean): readonly Server[] {
  const { spec, named, pods, observation } = wanted;
  const { vip, members, replica } = named.targets;
  const secretName = spec.source.credentials.secretName;
  const vipFact = observation?.vip.look ?? null;
  const source: { target: SqlTarget; fact: Fact<unknown> | null }[] = members.map(({ name, target }) => {
    return { target, fact: observation?.members.find((one) => one.name === name)?.look ?? null };
  });
  const vipIsAsked = isRefused(vipFact) || members.some(({ name }) => isSilent(name));
  if (vipIsAsked) source.push({ target: vip, fact: vipFact });
  const onSource = source.flatMap(({ target, fact }): Server[] => {
    const shared = { secretName, keepsReadOnly: false };
    const check = { use: 'look', target, ...shared } as const;
    const giving = { use: 'replication', target: { ...target, ...named.replication }, ...shared } as const;
    return [
      { id: idOf('look', target.name), check, fact },
      { id: idOf('replication', target.name), check: giving, fact },
    ];
  });
  const onReplicas = pods.flatMap(({ pod, podUid, ip }): Server[] => {
    if (ip === null) return [];
    const target = { ...replica, name: `replica ${pod}`, host: ip };
    const fact = observation?.replicas.find((one) => one.podUid === podUid)?.look ?? null;
    const keepsReadOnly = spec.replicas.localWrites === 'Forbidden';
    const check = { use: 'replica', target, secretName: spec.replicas.credentials.secretName, keepsReadOnly } as const;
    return [{ id: idOf('replica', podUid), check, fact }];
  });
  return [...onSource, ...onReplicas];
}

function isRefused(fact: Fact<unknown> | null): boolean {
  return fact !== null && !fact.known && REFUSING_CODES.has(fact.code);
}
