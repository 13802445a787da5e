import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { hostFile } from './host-files.ts';

/** The publisher as the shipped files start it. */
export interface ShippedProgram {
  /** Arguments of Node.js. */
  readonly program: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** What a site decides. */
export interface PublisherSite {
  /** Lines of publisher.env; a name that is not in there is an error. */
  readonly values: Readonly<Record<string, string | number>>;
  /** By the name that the unit and docker-compose give it: a file to be copied, or what is in it. What is absent is left out of both. */
  readonly secrets: Readonly<Record<string, { readonly file: string } | { readonly text: string }>>;
  /** Stands for the folders of a host. */
  readonly directory: string;
}

const ROOT = join(import.meta.dirname, '../..');
/** Where the unit expects the checkout. */
const INSTALLED = '/opt/mxr/';

/** mxr-publisher.service with publisher.env, as systemd reads them. */
export function publisherOfUnit(site: PublisherSite): ShippedProgram {
  const unit = hostFile('mxr-publisher.service');
  const [start = ''] = valuesOf(unit, 'ExecStart');
  if (!start.startsWith(INSTALLED)) throw new Error(`the unit starts ${start}, which is not below ${INSTALLED}`);
  const [program = '', ...words] = start.split(' ');
  const [credentials, state] = foldersOf(site);
  const declared = valuesOf(unit, 'LoadCredential').map((line) => line.split(':')[0] ?? '');
  installSecrets(site, credentials, declared);
  for (const name of valuesOf(unit, 'StateDirectory')) mkdirSync(join(state, name), { recursive: true, mode: 0o700 });
  const own = valuesOf(unit, 'Environment').map((line) => {
    const [name = '', value = ''] = line.split('=');
    return [name, value.replace('%d', credentials).replace('%S', state)] as const;
  });
  return {
    program: [join(ROOT, program.slice(INSTALLED.length)), ...words],
    env: { ...publisherEnv(site), ...withSecrets(site, credentials, own) },
  };
}

const Compose = z.object({
  services: z.object({
    publisher: z.object({
      command: z.array(z.string()),
      env_file: z.literal('publisher.env'),
      environment: z.record(z.string(), z.string()),
      secrets: z.array(z.string()),
      volumes: z.array(z.string()),
    }),
  }),
});

/** docker-compose.yaml with publisher.env. The folders of the container are those of this host that stand for them. */
export function publisherOfCompose(site: PublisherSite): ShippedProgram {
  const { publisher } = Compose.parse(parse(hostFile('docker-compose.yaml'))).services;
  const [secrets, state] = foldersOf(site);
  installSecrets(site, secrets, publisher.secrets);
  const volume = publisher.volumes.find((one) => one.startsWith('./state:'))?.split(':')[1];
  if (volume === undefined) throw new Error('docker-compose.yaml has no volume for ./state');
  const own = Object.entries(publisher.environment).map(([name, value]) => {
    const here = value === volume ? state : value.replace(/^\/run\/secrets(?=\/)/u, secrets);
    if (here === value) throw new Error(`docker-compose.yaml: ${name}=${value} is neither a secret nor the state`);
    return [name, here] as const;
  });
  return {
    program: [join(ROOT, 'bin/mxr.mjs'), ...publisher.command],
    env: { ...publisherEnv(site), ...withSecrets(site, secrets, own) },
  };
}

/** The shipped publisher.env, with what a site writes into it. */
function publisherEnv({ values }: PublisherSite): Record<string, string> {
  const shipped = [...hostFile('publisher.env').matchAll(/^([A-Z][A-Z0-9_]*)=(.*)$/gmu)];
  const env = Object.fromEntries(shipped.map(([, name = '', value = '']) => [name, value]));
  for (const [name, value] of Object.entries(values)) {
    if (!(name in env)) throw new Error(`examples/hosts/publisher.env has no ${name}`);
    env[name] = String(value);
  }
  return env;
}

function valuesOf(unit: string, name: string): readonly string[] {
  return [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gmu'))].map(([, value = '']) => value);
}

/** For the secrets, and for the journal. */
function foldersOf({ directory }: PublisherSite): readonly [string, string] {
  const folders = [join(directory, 'credentials'), join(directory, 'state')] as const;
  for (const folder of folders) mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folders;
}

function installSecrets({ secrets }: PublisherSite, directory: string, declared: readonly string[]): void {
  for (const [name, secret] of Object.entries(secrets)) {
    if (!declared.includes(name)) throw new Error(`the shipped files have no secret ${name}`);
    const to = join(directory, name);
    if ('file' in secret) copyFileSync(secret.file, to);
    else writeFileSync(to, `${secret.text}\n`, { mode: 0o600 });
  }
}

/** A site without one of the secrets leaves its line out. */
function withSecrets(
  { secrets }: PublisherSite,
  directory: string,
  lines: readonly (readonly [string, string])[],
): Record<string, string> {
  const kept = lines.filter(([, value]) => {
    const name = value.startsWith(`${directory}/`) ? value.slice(directory.length + 1) : null;
    return name === null || name in secrets;
  });
  return Object.fromEntries(kept);
}
