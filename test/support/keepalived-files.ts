import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type NotifyState = 'master' | 'backup' | 'fault' | 'stop';
const STATES: readonly NotifyState[] = ['master', 'backup', 'fault', 'stop'];

export interface KeepalivedSettings {
  readonly vip: string;
  readonly priority: number;
  readonly advertSeconds: number;
  /** Whether the host with the higher priority takes the address back as soon as it can. */
  readonly preempt: boolean;
  /** Failed checks in a row, one a second, before the host gives the address up; more lets a database restart in place. */
  readonly fall: number;
  /** Shell text that succeeds while the database is healthy. */
  readonly check: string;
  /** Shell text to run on entering a state. */
  readonly notify: Readonly<Partial<Record<NotifyState, string>>>;
}

/** Whether keepalived can run scripts itself. In a user namespace it cannot: it insists on setgroups(2). */
export function runsScripts(): boolean {
  // There / belongs to nobody.
  return statSync('/').uid === 0;
}

/** Writes the configuration and the scripts of one host the way people write them for a database pair. */
export function writeKeepalivedFiles(directory: string, router: string, settings: KeepalivedSettings): void {
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries({
    check: settings.check,
    ...settings.notify,
    agent: agent(directory, settings.fall),
  })) {
    const path = join(directory, `${name}.sh`);
    writeFileSync(path, `#!/bin/sh\nexec >>"${directory}/scripts.log" 2>&1\n${text}\n`);
    chmodSync(path, 0o755);
  }
  writeFileSync(join(directory, 'health'), '0\n');
  writeFileSync(join(directory, 'keepalived.conf'), configuration(directory, router, settings));
}

function configuration(directory: string, router: string, settings: KeepalivedSettings): string {
  const { vip, priority, advertSeconds, preempt } = settings;
  const parts = runsScripts() ? withScripts(directory, settings) : withAgent(directory);
  return `global_defs {
  router_id ${router}
${parts.global}
}
${parts.tracked}
vrrp_instance pair {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority ${priority}
  advert_int ${advertSeconds}
${preempt ? '' : '  nopreempt\n'}  virtual_ipaddress {
    ${vip}/24 dev eth0
  }
${parts.instance}
}
`;
}

interface ConfigurationParts {
  readonly global: string;
  readonly tracked: string;
  readonly instance: string;
}

function withScripts(directory: string, { notify, fall }: KeepalivedSettings): ConfigurationParts {
  const notifies = Object.keys(notify).map((state) => `  notify_${state} "${directory}/${state}.sh"`);
  return {
    global: '  script_user root\n  enable_script_security',
    tracked: `vrrp_script database {
  script "${directory}/check.sh"
  interval 1
  timeout 2
  fall ${fall}
  rise 1
}`,
    instance: ['  track_script {\n    database\n  }', ...notifies].join('\n'),
  };
}

function withAgent(directory: string): ConfigurationParts {
  return {
    global: `  notify_fifo "${directory}/states"`,
    tracked: `track_file database {\n  file "${directory}/health"\n  weight 0\n}`,
    instance: '  track_file {\n    database\n  }',
  };
}

/** Does what keepalived does with scripts, with the same numbers, by its file and its pipe; ends when it closes that. */
function agent(directory: string, fall: number): string {
  const cases = STATES.map((state) => `    ${state.toUpperCase()}) script=${state}.sh;;`).join('\n');
  return `failed=0
while :; do
  if timeout 2 "${directory}/check.sh"; then failed=0; else failed=$((failed + 1)); fi
  if [ $failed -eq 0 ]; then echo 0 >"${directory}/health"; fi
  if [ $failed -eq ${fall} ]; then echo 1 >"${directory}/health"; fi
  sleep 1
done &
checker=$!
while read -r kind name state rest; do
  case "$state" in
${cases}
    *) continue;;
  esac
  if [ -x "${directory}/$script" ]; then "${directory}/$script"; fi
done <"${directory}/states"
kill $checker`;
}
