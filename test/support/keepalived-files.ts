import { chmodSync, copyFileSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOST_FILES, HOST_SCRIPTS, hostFile, siteConf } from './host-files.ts';

export interface KeepalivedSettings {
  readonly vip: string;
  readonly priority: number;
  readonly advertSeconds: number;
  /** Whether the host with the higher priority takes the address back as soon as it can. */
  readonly preempt: boolean;
  /** Failed checks in a row, one a second, before the host gives the address up; more lets a database restart in place. */
  readonly fall: number;
  readonly pair: 'standby' | 'dual';
  /** Whether the host without the address is closed for writes. */
  readonly readOnly: boolean;
  /** The promotion script forgets the old primary, as many people's does; the shipped one does not. */
  readonly resetSlaveAll: boolean;
  /** The client program, and the local socket of the database. */
  readonly client: string;
  readonly socket: string;
  readonly datadir: string;
  /** Where each promotion notes its coordinates. */
  readonly takeovers: string;
}

const OPEN = 'SET GLOBAL read_only = 0 //';

/** Whether keepalived can run scripts itself. In a user namespace it cannot: it insists on setgroups(2). */
export function runsScripts(): boolean {
  // There / belongs to nobody.
  return statSync('/').uid === 0;
}

/** Installs the shipped files of a host, unchanged, beside a site.conf of its own. */
export function writeKeepalivedFiles(directory: string, router: string, settings: KeepalivedSettings): void {
  mkdirSync(directory, { recursive: true });
  const path = (name: string): string => join(directory, name);
  for (const name of HOST_SCRIPTS) copyFileSync(join(HOST_FILES, name), path(name));
  if (settings.resetSlaveAll) writeFileSync(path('promote.sh'), forgetting(hostFile('promote.sh')));
  writeFileSync(path('client.cnf'), `[client]\nuser=root\nsocket=${settings.socket}\n`, { mode: 0o400, flag: 'w' });
  writeFileSync(path('site.conf'), siteConf(siteValues(directory, router, settings)));
  const configuration = hostFile(settings.preempt ? 'keepalived-preempt.conf' : 'keepalived-nopreempt.conf');
  writeFileSync(path('keepalived.conf'), runsScripts() ? configuration : withAgent(configuration, directory));
  writeFileSync(path('health'), '0\n');
  writeFileSync(path('agent.sh'), agent(directory, settings.fall));
  chmodSync(path('agent.sh'), 0o755);
}

function siteValues(directory: string, router: string, settings: KeepalivedSettings): Record<string, string | number> {
  return {
    ROUTER_ID: router,
    INTERFACE: 'eth0',
    PRIORITY: settings.priority,
    VIP: settings.vip,
    ADVERT_INT: settings.advertSeconds,
    FALL: settings.fall,
    PREEMPT_DELAY: 0,
    SCRIPT_USER: 'root',
    CLIENT: settings.client,
    CLIENT_OPTIONS: join(directory, 'client.cnf'),
    PAIR: settings.pair,
    READ_ONLY: settings.readOnly ? 'yes' : 'no',
    TAKEOVER_LOG: settings.takeovers,
    LOG: join(directory, 'scripts.log'),
    DATADIR: settings.datadir,
    MIN_FREE_MB: 1,
    FIFO: join(directory, 'mxr.fifo'),
    FIFO_USER: 'root',
  };
}

function forgetting(promotion: string): string {
  if (!promotion.includes(OPEN)) throw new Error(`examples/hosts/promote.sh has no line ${OPEN}`);
  return promotion.replace(OPEN, `STOP SLAVE //\nRESET SLAVE ALL //\n${OPEN}`);
}

/** The same configuration for a keepalived that cannot run scripts: its states go to a pipe, the health is in a file. */
function withAgent(configuration: string, directory: string): string {
  return configuration
    .replace(/^ {2}(script_user|enable_script_security).*\n/gmu, '')
    .replace(/^( {2}vrrp_notify_fifo .*\n)/mu, (line) => `${line}  notify_fifo "${directory}/states"\n`)
    .replace(
      /^vrrp_script database \{\n(?:.*\n)*?\}\n/mu,
      () => `track_file database {\n  file "${directory}/health"\n  weight 0\n}\n`,
    )
    .replace('track_script', 'track_file')
    .replace(/^ {2}notify_.*\n/gmu, (line) => (line.includes('notify_fifo') ? line : ''));
}

/** Does what keepalived does with scripts, with the same numbers, by its file and its pipe; ends when it closes that. */
function agent(directory: string, fall: number): string {
  const run = (script: string): string => `"${directory}/${script}.sh" "${directory}/site.conf"`;
  return `#!/bin/sh
exec >>"${directory}/scripts.log" 2>&1
failed=0
while :; do
  if timeout 4 ${run('check-database')}; then failed=0; else failed=$((failed + 1)); fi
  if [ $failed -eq 0 ]; then echo 0 >"${directory}/health"; fi
  if [ $failed -eq ${fall} ]; then echo 1 >"${directory}/health"; fi
  sleep 1
done &
checker=$!
while read -r kind name state rest; do
  case "$state" in
    MASTER) ${run('promote')};;
    BACKUP|FAULT|STOP) ${run('demote')};;
  esac
done <"${directory}/states"
kill $checker
`;
}
