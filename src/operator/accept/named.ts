import { isIP } from 'node:net';
import { getCACertificates } from 'node:tls';
import type { MemberSpec, Spec, Tls } from '../../api/v1alpha1.ts';
import type { WatchedTargets } from '../../observe/watcher.ts';
import type { PublisherTarget } from '../../publisher/client.ts';
import type { TlsOptions } from '../../sql/port.ts';
import type { Refusal } from './refusal.ts';
import { together } from './refusal.ts';
import type { Resolved } from './resolve.ts';
import type { SecretAnswer } from './secrets.ts';

/** The account that is given to the replicas, and used by mxr's rehearsals. */
export interface ReplicationAccount {
  readonly user: string;
  readonly password: string;
}

/** What a spec names by name, found. */
export type Named =
  | { readonly state: 'Found'; readonly targets: WatchedTargets; readonly replication: ReplicationAccount }
  | { readonly state: 'Refused'; readonly refusal: Refusal }
  /** Something was not asked yet, or could not be asked. */
  | { readonly state: 'Waiting'; readonly message: string };

/** What is known of Secrets of the resource's own namespace and of hosts; undefined: not asked yet. */
export interface Known {
  readonly secret: (name: string) => SecretAnswer | undefined;
  readonly address: (host: string) => Resolved | undefined;
}

const SOURCE_KEYS = ['username', 'password', 'replicationUsername', 'replicationPassword'] as const;
const REPLICA_KEYS = ['username', 'password'] as const;
const CA_KEY = 'ca.crt';
const TOKEN_KEY = 'token';
/** What fits in a header. A file that became a Secret often ends with a newline, which is not part of the token. */
const TOKEN = /^[\x21-\x7E]{1,1024}$/;
const CERTIFICATE = '-----BEGIN CERTIFICATE-----';

interface Need {
  /** Where the spec names it. */
  readonly field: string;
  readonly secret: string;
  readonly keys: readonly string[];
  /** Keys that are looked at where they are there. */
  readonly optional?: readonly string[];
}

function needsOf({ source, replicas }: Spec): readonly Need[] {
  const { publisherAuth: auth } = source;
  const token = { field: 'source.publisherAuth', keys: [TOKEN_KEY], optional: [CA_KEY] };
  const certificates = [
    { field: 'source.tls.caSecretName', secret: source.tls.caSecretName, keys: [CA_KEY] },
    { field: 'replicas.tls.caSecretName', secret: replicas.tls.caSecretName, keys: [CA_KEY] },
  ];
  return [
    { field: 'source.credentials', secret: source.credentials.secretName, keys: SOURCE_KEYS },
    { field: 'replicas.credentials', secret: replicas.credentials.secretName, keys: REPLICA_KEYS },
    ...certificates.filter(({ secret }) => secret !== ''),
    ...(auth === undefined ? [] : [{ ...token, secret: auth.secretName }]),
  ];
}

export function secretNamesOf(spec: Spec): readonly string[] {
  return [...new Set(needsOf(spec).map(({ secret }) => secret))];
}

export function hostsOf({ source }: Spec): readonly string[] {
  return [...new Set([source.vip.host, ...source.members.map(({ host }) => host)])];
}

/** Puts together what the spec names, from what is known of it now. */
export function namedOf(spec: Spec, known: Known): Named {
  const refusal = secretMissing(spec, known) ?? keyMissing(spec, known) ?? unresolved(spec, known);
  if (refusal !== null) return { state: 'Refused', refusal };
  const waiting = notKnown(spec, known);
  return waiting === null ? found(spec, known) : { state: 'Waiting', message: waiting };
}

function secretMissing(spec: Spec, known: Known): Refusal | null {
  const missing = needsOf(spec).filter(({ secret }) => known.secret(secret)?.state === 'Missing');
  if (missing.length === 0) return null;
  const told = missing.map(
    ({ field, secret, keys }) => `Secret ${secret} (${field}) does not exist; create it with ${keys.join(', ')}`,
  );
  return { reason: 'SecretMissing', message: together(told) };
}

function keyMissing(spec: Spec, known: Known): Refusal | null {
  const told: string[] = [];
  for (const need of needsOf(spec)) {
    const answer = known.secret(need.secret);
    if (answer?.state === 'Read') told.push(...wrongIn(need, answer.data));
  }
  return told.length === 0 ? null : { reason: 'SecretKeyMissing', message: together(told) };
}

function wrongIn({ field, secret, keys, optional = [] }: Need, data: Readonly<Record<string, string>>): string[] {
  const missing = keys.filter((key) => (data[key] ?? '') === '');
  if (missing.length > 0) return [`Secret ${secret} (${field}) lacks ${missing.join(', ')}; add it`];
  const told: string[] = [];
  const ca = [...keys, ...optional].includes(CA_KEY) ? (data[CA_KEY] ?? '') : '';
  if (ca !== '' && !ca.includes(CERTIFICATE)) {
    told.push(`key ${CA_KEY} of Secret ${secret} (${field}) holds no certificate in PEM form; put the CA there`);
  }
  if (keys.includes(TOKEN_KEY) && !TOKEN.test((data[TOKEN_KEY] ?? '').trim())) {
    told.push(
      `key ${TOKEN_KEY} of Secret ${secret} (${field}) is no token: write one line of at most 1,024 printable characters, without spaces`,
    );
  }
  return told;
}

function unresolved(spec: Spec, known: Known): Refusal | null {
  const told: string[] = [];
  for (const host of hostsOf(spec)) {
    const answer = known.address(host);
    if (answer?.state !== 'Unresolved') continue;
    const members = spec.source.members.filter((member) => member.host === host).map(({ name }) => `member ${name}`);
    const who = spec.source.vip.host === host ? ['the VIP', ...members] : members;
    told.push(`${host} (${who.join(', ')}) does not resolve (${answer.why}); correct it, or write the IP address`);
  }
  return told.length === 0 ? null : { reason: 'HostUnresolved', message: together(told) };
}

function notKnown(spec: Spec, known: Known): string | null {
  for (const { secret } of needsOf(spec)) {
    const answer = known.secret(secret);
    if (answer === undefined) return `Secret ${secret} was not read yet`;
    if (answer.state === 'Unknown') return `whether Secret ${secret} exists is not known: ${answer.why}`;
  }
  const host = hostsOf(spec).find((one) => known.address(one) === undefined);
  return host === undefined ? null : `${host} was not resolved yet`;
}

/** Everything is there: the checks before have seen to it. */
function found(spec: Spec, known: Known): Named {
  const { source, replicas } = spec;
  const data: Read = (name, key) => {
    const answer = name === '' ? undefined : known.secret(name);
    return answer?.state === 'Read' ? (answer.data[key] ?? '') : '';
  };
  const address = (host: string): string => {
    const answer = known.address(host);
    return answer?.state === 'Address' ? answer.address : host;
  };
  const tls = (asked: Tls, host: string): TlsOptions => tlsOf(asked, data(asked.caSecretName, CA_KEY), host);
  const [secret, replicaSecret] = [source.credentials.secretName, replicas.credentials.secretName];
  const account = { user: data(secret, 'username'), password: data(secret, 'password') };
  const server = ({ host, port }: { readonly host: string; readonly port: number }) => {
    return { host: address(host), port, ...account, tls: tls(source.tls, host) };
  };
  const targets: WatchedTargets = {
    vip: { name: 'the VIP', ...server(source.vip) },
    members: source.members.map((member) => ({
      name: member.name,
      match: member.match ?? null,
      target: { name: `member ${member.name}`, ...server(member) },
      ...publisherOf(source, member, data),
    })),
    replica: {
      port: replicas.port,
      user: data(replicaSecret, 'username'),
      password: data(replicaSecret, 'password'),
      tls: tls(replicas.tls, ''),
    },
  };
  const replication = { user: data(secret, 'replicationUsername'), password: data(secret, 'replicationPassword') };
  return { state: 'Found', targets, replication };
}

type Read = (secret: string, key: string) => string;

function publisherOf(source: Spec['source'], member: MemberSpec, data: Read): { publisher?: PublisherTarget } {
  const { publisherAuth: auth, tls } = source;
  if (member.publisher === undefined) return {};
  const token = auth === undefined ? null : data(auth.secretName, TOKEN_KEY).trim();
  const ca = (auth === undefined ? '' : data(auth.secretName, CA_KEY)) || data(tls.caSecretName, CA_KEY);
  const { url } = member.publisher;
  return { publisher: { name: `the publisher of ${member.name}`, url, token, ca: ca === '' ? null : ca } };
}

/** `host` as the spec has it: a certificate names what people write, not what it resolves to. Empty: a pod's address. */
function tlsOf({ mode }: Tls, ca: string, host: string): TlsOptions {
  if (mode !== 'VerifyCA' && mode !== 'VerifyIdentity') return { mode };
  const named = mode === 'VerifyIdentity' && host !== '' && isIP(host) === 0;
  const servername = named ? { servername: host } : {};
  return { mode, ca: ca === '' ? getCACertificates('default').join('\n') : ca, ...servername };
}
