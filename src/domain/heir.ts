import { answerTo } from './evidence.ts';
import { asking, incarnationKey } from './proof.ts';
import type { RestartInput, RestartJudgement } from './restart.ts';
import { judgeRestart } from './restart.ts';
import { binlogName, followsHost } from './shared.ts';

export type HeirJudgement =
  | RestartJudgement
  /** It does not run on the data that was remembered. */
  | { readonly kind: 'OtherData'; readonly message: string };

/**
 * A member that was seen alive where another one was: is it that server, on another host? Names and ids are equal by
 * configuration, so only files that both list can say so, and only by the second in which they were created.
 */
export function judgeHeir(input: RestartInput): HeirJudgement {
  const { memory, observed, look, evidence } = input;
  const before = memory.storage?.from ?? memory.name;
  if (binlogName(memory.logBinBasename) !== binlogName(look.logBinBasename)) return renamed(input, before);
  const dated = memory.files.filter(
    ({ name, createdAt }) => createdAt !== null && look.files.some((file) => file.name === name),
  );
  if (dated.length === 0) {
    const message = `${memory.name} lists none of the binlog files that mxr knew of ${before}: it runs on other data, or on the same with another list of binlogs, and numbers that were given before may be given again. Set log_bin and log_bin_index (or log_basename) alike on both hosts`;
    return { kind: 'NewLineage', message };
  }
  for (const { name, createdAt } of dated) {
    const asked = { member: observed.name, incarnation: incarnationKey(observed) };
    const question = { kind: 'FileHeader', ...asked, file: name } as const;
    const header = answerTo(evidence, question);
    if (!header.known) return asking(`reading the head of ${name} on ${memory.name}`, question);
    if (header.value.createdAt === createdAt) continue;
    const message = `${name} of ${memory.name} is another file than on ${before}: it does not run on the data that ${before} had. See that the shared storage is mounted there`;
    return { kind: 'OtherData', message };
  }
  return judgeRestart(input);
}

function renamed({ memory, look }: RestartInput, before: string): HeirJudgement {
  const [now, then] = [binlogName(look.logBinBasename), binlogName(memory.logBinBasename)];
  const why =
    followsHost(look) && followsHost(memory)
      ? 'the name follows the host (log_bin is set without a name), so on the same data another binlog is written (a new one begins with an empty GTID state), and numbers that were given before are given again'
      : 'another history began, and numbers that were given before may be given again';
  const message = `the binlog of ${memory.name} is called ${now} and that of ${before} was ${then}: ${why}. Give it one name on both hosts (log_bin=mysql-bin)`;
  return { kind: 'NewLineage', message };
}
