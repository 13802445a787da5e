import manifest from '../package.json' with { type: 'json' };
import { helpText, unknownCommand } from './commands/help.ts';
import type { CommandEntry } from './commands/help.ts';
import type { CommandIo } from './commands/io.ts';
import { systemSource } from './config.ts';

const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'operator',
    summary: 'run the operator',
    load: async () => (await import('./commands/operator.ts')).operator,
  },
  {
    name: 'publisher',
    summary: 'run beside a MariaDB of the pair and publish what it knows',
    load: async () => (await import('./commands/publisher.ts')).publisher,
  },
  { name: 'status', summary: 'show the pair, the replicas and their verdicts' },
  { name: 'plan', summary: 'show what mxr would do, and why' },
  { name: 'history', summary: 'show the handovers' },
  { name: 'doctor', summary: 'check accounts, grants, settings and networks' },
  { name: 'approve', summary: 'approve what waits for a person' },
  { name: 'suspend', summary: 'look, and do nothing' },
  { name: 'resume', summary: 'act again' },
  { name: 'report', summary: 'collect what a bug report needs' },
  { name: 'explain', summary: 'explain a verdict or reason' },
  { name: 'promote', summary: 'make replicas follow a member that a person names' },
];

/** Exit code: that of the command; 2 for what is not understood or does not exist yet. */
export async function main(args: readonly string[], io: CommandIo): Promise<number> {
  const [name = '--help', ...rest] = args;
  if (name === '--help' || name === '-h' || name === 'help') {
    if (rest[0] !== undefined) return main([rest[0], '--help'], io);
    io.out(helpText(COMMANDS));
    return 0;
  }
  if (name === '--version' || name === 'version') {
    io.out(`mxr ${manifest.version}\n`);
    return 0;
  }
  const command = COMMANDS.find((entry) => entry.name === name);
  if (command === undefined) io.err(unknownCommand(name, COMMANDS));
  else if (command.load === undefined) io.err(`mxr ${name}: not implemented yet\n`);
  else return (await command.load())(rest, io);
  return 2;
}

/** Runs the command of this process, and ends the process with its exit code. */
export async function runProcess(): Promise<void> {
  const code = await main(process.argv.slice(2), {
    source: systemSource(),
    events: process,
    exit: (status) => process.exit(status),
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
  });
  process.exit(code);
}

if (import.meta.main) await runProcess();
