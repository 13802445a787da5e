import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  readdirSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';

const FOLDERS = ['usr/sbin', 'usr/bin', 'sbin', 'bin'];
const ELF = Buffer.from('\x7fELF', 'latin1');

/**
 * How unpacked programs find their libraries: the unpacked ones in front of the machine's own, or, where another release
 * may need another C library, the unpacked ones alone, through their own loader.
 */
export type Linking = 'libraries' | 'loader';

/**
 * One small script per program in `bin/`: the unpacked libraries are for this program only, and MariaDB is told where its
 * files are. `exec` keeps the process id, so signals reach the program itself.
 */
export function writePrograms(unpacked: string, root: string, linking: Linking): void {
  const folders = libraryFolders(unpacked);
  const libraries = folders.map((folder) => join(root, folder)).join(':');
  if (linking === 'loader') loadByOwnLoader(unpacked, root, loaderOf(unpacked, folders), libraries);
  const setUp = linking === 'loader' ? '' : `export LD_LIBRARY_PATH="${libraries}"\n`;
  mkdirSync(join(unpacked, 'bin.new'));
  for (const folder of FOLDERS) {
    if (!existsSync(join(unpacked, folder))) continue;
    for (const name of readdirSync(join(unpacked, folder))) {
      const path = join(unpacked, 'bin.new', name);
      if (existsSync(path)) continue;
      const program = join(root, folder === 'bin' ? 'bin.deb' : folder, name);
      writeScript(path, `${setUp}exec "${program}" "$@" ${extraArguments(name, unpacked, root)}`);
    }
  }
  if (existsSync(join(unpacked, 'bin'))) renameSync(join(unpacked, 'bin'), join(unpacked, 'bin.deb'));
  renameSync(join(unpacked, 'bin.new'), join(unpacked, 'bin'));
}

/** In the programs' own places, because MariaDB's scripts look for each other's programs there. */
function loadByOwnLoader(unpacked: string, root: string, loader: string, libraries: string): void {
  for (const folder of ['usr/sbin', 'usr/bin'].filter((name) => existsSync(join(unpacked, name)))) {
    for (const name of readdirSync(join(unpacked, folder))) {
      const path = join(unpacked, folder, name);
      if (lstatSync(path).isSymbolicLink() || !isElf(path)) continue;
      renameSync(path, `${path}.elf`);
      const command = `exec "${join(root, loader)}" --library-path "${libraries}"`;
      writeScript(path, `${command} "${join(root, folder, name)}.elf" "$@"`);
    }
  }
}

function loaderOf(unpacked: string, folders: readonly string[]): string {
  const all = folders.flatMap((folder) => readdirSync(join(unpacked, folder)).map((name) => join(folder, name)));
  const loader = all.find((path) => /^ld-linux.*\.so\.\d+$/.test(basename(path)));
  if (loader === undefined) throw new Error('the packages hold no ld-linux');
  return loader;
}

function isElf(path: string): boolean {
  const head = Buffer.alloc(ELF.length);
  const file = openSync(path, 'r');
  readSync(file, head);
  closeSync(file);
  return head.equals(ELF);
}

function writeScript(path: string, text: string): void {
  writeFileSync(path, `#!/bin/sh\n${text.trimEnd()}\n`);
  chmodSync(path, 0o755);
}

function extraArguments(program: string, unpacked: string, root: string): string {
  const base = `--basedir="${root}/usr"`;
  if (program === 'mariadb-install-db') return base;
  if (program !== 'mariadbd') return '';
  // Debian 13 has it under the new name.
  const share = existsSync(join(unpacked, 'usr/share/mysql/english')) ? 'mysql' : 'mariadb';
  return `${base} --lc-messages-dir="${root}/usr/share/${share}" --plugin-dir="${root}/usr/lib/mysql/plugin"`;
}

function libraryFolders(unpacked: string): string[] {
  const folders: string[] = [];
  for (const base of ['usr/lib', 'lib']) {
    if (!existsSync(join(unpacked, base))) continue;
    for (const name of readdirSync(join(unpacked, base))) {
      if (basename(name).includes('-linux-gnu')) folders.push(join(base, name));
    }
  }
  return folders;
}
