import { didYouMean } from '../ops/nearest.ts';
import type { Command } from './io.ts';

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Absent: the contract names it, and it does not exist yet. Loaded when it is asked for. */
  readonly load?: () => Promise<Command>;
}

export function helpText(commands: readonly CommandEntry[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const rows = commands.map(({ name, summary, load }) => {
    return `  ${name.padEnd(width)}  ${summary}${load === undefined ? ' (not implemented yet)' : ''}\n`;
  });
  return (
    'mxr keeps in-cluster MariaDB replicas following an external MariaDB pair behind a virtual IP.\n\n' +
    `usage: mxr <command> [flags]\n\n${rows.join('')}\n` +
    'mxr <command> --help shows the flags of a command, mxr --version the version.\n'
  );
}

export function unknownCommand(name: string, commands: readonly CommandEntry[]): string {
  const names = commands.map((command) => command.name);
  return `mxr: there is no command ${JSON.stringify(name.slice(0, 60))}${didYouMean(name, names)}\ncommands: ${names.join(', ')}\n`;
}
