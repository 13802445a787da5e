import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What is shipped for the database hosts, and used by the bench as it is. */
export const HOST_FILES = join(import.meta.dirname, '../../examples/hosts');
export const HOST_SCRIPTS = ['common.sh', 'check-database.sh', 'promote.sh', 'demote.sh'] as const;

export function hostFile(name: string): string {
  return readFileSync(join(HOST_FILES, name), 'utf8');
}

/** The shipped mariadb.cnf with the two lines that differ on the two hosts. */
export function mariadbCnf(values: Readonly<Record<'server_id' | 'log_basename', string | number>>): string {
  return Object.entries(values).reduce((text, [name, value]) => {
    const line = new RegExp(`^${name} = .*$`, 'mu');
    if (!line.test(text)) throw new Error(`examples/hosts/mariadb.cnf has no ${name}`);
    return text.replace(line, () => `${name} = ${value}`);
  }, hostFile('mariadb.cnf'));
}

/** The shipped site.conf with values of one's own, as a site edits it; a name that is not in there is an error. */
export function siteConf(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values).reduce((text, [name, value]) => {
    const line = new RegExp(`^\\$${name}=.*$`, 'mu');
    if (!line.test(text)) throw new Error(`examples/hosts/site.conf has no ${name}`);
    return text.replace(line, () => `$${name}=${value}`);
  }, hostFile('site.conf'));
}
