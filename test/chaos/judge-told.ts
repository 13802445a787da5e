import type { Bench, Replica } from '../support/bench.ts';
import type { Judgement, TableDifference } from '../support/judge.ts';
import { judge } from '../support/judge.ts';
import type { MariaDbServer } from '../support/mariadb.ts';
import type { Member } from '../support/member.ts';
import { gather } from './evidence.ts';
import type { Past } from './field.ts';
import { isRestless } from './rest.ts';
import { SIDE, sideTokens } from './side.ts';
import type { Told } from './truth.ts';
import { untold, untruthOf } from './truth.ts';

/**
 * `right`: ready, and it is. `refused`: under a verdict that is true. `silent`: called ready and wrong, or with rows lost or
 * doubled that its verdict does not tell. `untrue`: under a verdict that is not true. `denied`: refused although the history
 * was legal.
 * `restless`: its verdict changes for ever.
 */
export const OUTCOMES = ['right', 'refused', 'silent', 'untrue', 'denied', 'restless'] as const;
export type Outcome = (typeof OUTCOMES)[number];
export const WRONG: readonly Outcome[] = ['silent', 'untrue', 'denied', 'restless'];

/** How one replica ended. */
export interface Ended {
  readonly replica: string;
  readonly verdict: string;
  readonly reason: string;
  readonly outcome: Outcome;
  /** Rows of the holder that it lacks without being told so, and those it has too often. */
  readonly lost: number;
  readonly doubled: number;
  readonly why: string;
}

export interface Question {
  readonly bench: Bench;
  readonly holder: Member;
  readonly told: readonly Told[];
  readonly past: Past;
  readonly legal: boolean;
  /** Both members may have written at one time: what they did to one row has no order. */
  readonly bothWrote: boolean;
  readonly isInserted: (token: string) => boolean;
  /** The replicas get what the application writes beside its own database, whatever the standby gets of it. */
  readonly hasSide?: boolean;
  readonly settleMs: number;
}

/** Whether what is said of each replica is true, by rows, threads, files and GTIDs. The application must have stopped. */
export async function judgeTold(question: Question): Promise<Ended[]> {
  const { bench, holder, told, settleMs } = question;
  const ready = bench.replicas.filter(({ name }) => told.find(({ pod }) => pod === name)?.ready === true);
  const judgements = ready.length === 0 ? [] : await judge(bench, holder, { settleMs, replicas: ready });
  return Promise.all(
    bench.replicas.map(async (replica) => {
      const said = told.find(({ pod }) => pod === replica.name);
      if (said === undefined) return ended(replica, undefined, 'untrue', 'mxr says nothing of it');
      const judgement = judgements.find(({ replica: name }) => name === replica.name);
      return judgement === undefined ? refused(question, replica, said) : readyOne(question, replica, said, judgement);
    }),
  );
}

async function readyOne(question: Question, replica: Replica, told: Told, judgement: Judgement): Promise<Ended> {
  const { holder, bothWrote, past, hasSide = false } = question;
  const differences = judgement.differences.filter((one) => !(bothWrote && isOrderOnly(one)));
  const others = judgement.findings.filter((text) => !text.startsWith('table '));
  const shapes = await compareShapes(holder.db, replica.db);
  const gone = hasSide ? await goneFromSide(holder.db, replica.db) : [];
  if (gone.length > 0)
    shapes.push(`table ${SIDE}.noise: ${gone.length} rows missing (${gone.slice(0, SHOWN).join(' ')})`);
  const findings = differences.length > 0 ? judgement.findings : [...others, ...shapes];
  if (findings.length > 0) {
    const counts = { lost: total(differences, 'missing') + gone.length, doubled: total(differences, 'extra') };
    return { ...ended(replica, told, 'silent', findings.join('; ')), ...counts };
  }
  if (isRestless(past.said.get(replica.name))) return ended(replica, told, 'restless', saidText(past, replica));
  if (!told.labelled) return ended(replica, told, 'untrue', 'it is ready and its pod is not in the read Service');
  return ended(replica, told, 'right', '');
}

async function refused(question: Question, replica: Replica, told: Told): Promise<Ended> {
  const { bench, holder, past, legal, isInserted } = question;
  const evidence = await gather([holder.db, bench.other(holder).db], replica, isInserted);
  const untruth = untruthOf(told, evidence, past);
  const seen = `${told.message} | seen: ${JSON.stringify(evidence, shortened)}`;
  const { lost, doubled } = untold(told, evidence);
  if (lost.length + doubled.length > 0) {
    const what = `${lost.length} transactions lost before others that it has, ${doubled.length} rows doubled`;
    return {
      ...ended(replica, told, 'silent', `${what} (${seen})`),
      lost: lost.length,
      doubled: doubled.length,
    };
  }
  if (untruth !== null) return ended(replica, told, 'untrue', `${untruth} (${seen})`);
  if (legal) return ended(replica, told, 'denied', `the history was legal (${seen})`);
  if (isRestless(past.said.get(replica.name))) return ended(replica, told, 'restless', saidText(past, replica));
  return ended(replica, told, 'refused', seen);
}

function ended({ name }: Replica, told: Told | undefined, outcome: Outcome, why: string): Ended {
  const { verdict = 'none', reason = 'none' } = told ?? {};
  return { replica: name, verdict, reason, outcome, lost: 0, doubled: 0, why };
}

async function goneFromSide(holder: MariaDbServer, replica: MariaDbServer): Promise<string[]> {
  const [theirs, mine] = await Promise.all([sideTokens(holder), sideTokens(replica)]);
  return [...theirs].filter((token) => !mine.has(token));
}

function saidText({ said }: Past, { name }: Replica): string {
  return `since everything was healed: ${said.get(name)?.join(', then ')}`;
}

const SHOWN = 6;

function shortened(_: string, value: unknown): unknown {
  if (!Array.isArray(value) || value.length <= SHOWN) return value;
  return [...(value as unknown[]).slice(0, SHOWN), `and ${value.length - SHOWN} more`];
}

function total(differences: readonly TableDifference[], side: 'missing' | 'extra'): number {
  return differences.flatMap((one) => [...one[side].values()]).reduce((sum, copies) => sum + copies, 0);
}

/** The same number of changes of each row, the last one by another transaction. */
function isOrderOnly({ table, missing, extra }: TableDifference): boolean {
  if (table !== 'hot') return false;
  const changes = (rows: ReadonlyMap<string, number>): string =>
    [...rows.keys()]
      .map((row) => row.split(':').slice(0, 2).join(':'))
      .sort()
      .join();
  return changes(missing) === changes(extra);
}

const COLUMNS =
  "SELECT CONCAT_WS(' ', table_name, column_name, column_type) AS text FROM information_schema.columns WHERE table_schema = 'app'";

/** What the application made of its database's shape, and the rows of the tables that came with that. */
async function compareShapes(source: MariaDbServer, copy: MariaDbServer): Promise<string[]> {
  const [there, here] = await Promise.all([shapeOf(source), shapeOf(copy)]);
  return [
    ...there.filter((line) => !here.includes(line)).map((line) => `shape: lacks ${line}`),
    ...here.filter((line) => !there.includes(line)).map((line) => `shape: has too much ${line}`),
  ].slice(0, SHOWN);
}

async function shapeOf(db: MariaDbServer): Promise<string[]> {
  const columns = (await db.sql(COLUMNS)).map((row) => row['text'] ?? '');
  const tables = [...new Set(columns.map((line) => line.split(' ')[0] ?? ''))].filter((name) =>
    name.startsWith('shape_'),
  );
  const sums: string[] = [];
  for (const table of tables) {
    sums.push(`${table} with checksum ${(await db.row(`CHECKSUM TABLE app.${table}`))['Checksum']}`);
  }
  return [...columns, ...sums];
}
