import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exec } from '../support/exec.ts';
import type { Writer } from '../support/writer.ts';
import type { Field } from './field.ts';
import type { Ended } from './judge-told.ts';

const LOG_LINES = 20_000;
const ASK_MS = 3_000;
const POSITIONS = [
  'SHOW MASTER STATUS',
  'SHOW BINARY LOGS',
  'SHOW ALL SLAVES STATUS',
  "SHOW VARIABLES LIKE 'gtid%'",
] as const;

/** Keeps what explains a failure: it is gone with the sandbox. */
export async function keep(
  field: Field,
  writer: Writer | null,
  ended: readonly Ended[],
  directory: string,
): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const save = (name: string, text: string): void => writeFileSync(join(directory, name), `${text}\n`);
  const { bench, stage, supervisor } = field;
  save('ended.json', JSON.stringify(ended, null, 2));
  save('diary.txt', field.diary.join('\n'));
  save('operator.log', supervisor.lines.slice(-LOG_LINES).join('\n'));
  const status = await stage.status().catch((error: unknown) => ({ unreadable: String(error) }));
  save('status.json', JSON.stringify(status, null, 2));
  for (const { name, keepalived } of bench.members) save(`keepalived-${name}.log`, keepalived.logTail(LOG_LINES));
  const written = writer === null ? [] : [...writer.acknowledged, ...writer.failed];
  save('writes.jsonl', written.map((one) => JSON.stringify(one)).join('\n'));
  for (const db of bench.servers) {
    save(`mariadb-${db.name}.log`, db.logTail(LOG_LINES));
    const answers = POSITIONS.map(async (text) => {
      const rows = db.running ? await db.sql(text, [], ASK_MS).catch((error: unknown) => String(error)) : 'not running';
      return `${text}\n${JSON.stringify(rows, null, 2)}`;
    });
    save(`positions-${db.name}.txt`, (await Promise.all(answers)).join('\n\n'));
    await keepBinlogs(db.datadir, join(directory, `binlogs-${db.name}`));
  }
}

async function keepBinlogs(datadir: string, directory: string): Promise<void> {
  const copy = `mkdir -p "${directory}" && cp "${datadir}"/*-bin.0* "${directory}"`;
  // A server whose data is away keeps none.
  await exec(['sh', '-c', copy]).catch(() => undefined);
}
