import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { SITUATIONS, VERDICTS } from '../../src/api/reasons.ts';
import { conditionsOf } from '../../src/domain/conditions.ts';
import { formatPosition } from '../../src/domain/gtid.ts';
import type { Plan } from '../../src/domain/plan.ts';
import { mayServe } from '../../src/domain/serving.ts';
import type { Decision } from '../../src/domain/verdict.ts';
import type { Played } from '../support/scenario/play.ts';
import { play } from '../support/scenario/play.ts';
import type { ExpectedReplica } from '../support/scenario/vocabulary.ts';
import { Scenario } from '../support/scenario/vocabulary.ts';

/** Behaviour that does not exist yet: their first scenario comes with them. */
const NOT_YET: readonly string[] = ['Reseeding'];

const HERE = import.meta.dirname;
const files = readdirSync(HERE, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml'));
const seen = { situations: new Set<string>(), verdicts: new Set<string>() };

for (const directory of [...new Set(files.map((file) => file.split('/')[0] ?? ''))].sort()) {
  describe(directory, () => {
    for (const file of files.filter((name) => name.startsWith(`${directory}/`)).sort()) scenario(file);
  });
}

test('every situation and every verdict has a scenario', () => {
  assert.deepEqual(
    SITUATIONS.filter((name) => !seen.situations.has(name)),
    [],
  );
  assert.deepEqual(
    VERDICTS.filter((name) => !seen.verdicts.has(name)),
    VERDICTS.filter((name) => NOT_YET.includes(name)),
  );
});

function scenario(file: string): void {
  const parsed = Scenario.parse(parse(readFileSync(join(HERE, file), 'utf8')));
  test(`${parsed.title} (${file})`, () => {
    for (const played of play(parsed)) {
      assert.deepEqual(told(played), expected(played), `in the phase "${played.phase.say}"`);
      seen.situations.add(played.picture.diagnosis.situation);
      for (const { verdict } of played.gated.decisions) seen.verdicts.add(verdict);
    }
    const verdicts = new Set(
      parsed.phases.flatMap(({ expect }) => Object.values(expect.replicas).map((one) => one.verdict)),
    );
    assert.ok(verdicts.has(file.split('/')[0] ?? ''), 'its directory is named after a verdict of it');
  });
}

type Expected = ReturnType<typeof expected>;

function expected({ phase: { expect } }: Played) {
  const { situation, holder, questions, conditions, replicas } = expect;
  return { situation, holder, questions: questions.toSorted(), conditions, replicas, broken: [] as readonly string[] };
}

/** What was concluded, of the things that the file names. */
function told(played: Played): Expected {
  const { phase, picture, gated, open, broken } = played;
  const { expect } = phase;
  const conditions = conditionTexts(played);
  return {
    situation: picture.diagnosis.situation,
    holder: expect.holder === undefined ? undefined : (picture.diagnosis.holder?.member.name ?? null),
    questions: open.toSorted(),
    conditions: Object.fromEntries(Object.keys(expect.conditions).map((type) => [type, conditions[type] ?? 'absent'])),
    replicas: Object.fromEntries(
      gated.decisions.map((decision) => {
        const plan = gated.plans.find((one) => one.pod === decision.pod);
        return [decision.pod, replicaTold(decision, plan, expect.replicas[decision.pod])];
      }),
    ),
    broken,
  };
}

function replicaTold(decision: Decision, plan: Plan | undefined, wanted: ExpectedReplica | undefined): ExpectedReplica {
  const { verdict, reason, message, transactions } = decision;
  const change = plan?.steps.find((step) => step.step === 'Change');
  const attach = change?.attach;
  return {
    verdict,
    ...(wanted?.reason === undefined ? {} : { reason }),
    ...(wanted?.message === undefined ? {} : { message: message.includes(wanted.message) ? wanted.message : message }),
    ...(plan === undefined ? {} : { steps: plan.steps.map((step) => step.step) }),
    ...(wanted?.proof === undefined ? {} : { proof: plan?.proven?.proof ?? 'none' }),
    ...(wanted?.to === undefined ? {} : { to: plan?.target?.member ?? 'nobody' }),
    ...(wanted?.attach === undefined ? {} : { attach: attachText(attach) }),
    ...(wanted?.transactions === undefined ? {} : { transactions: [...(transactions?.gtids ?? [])] }),
    ...(wanted?.serves === undefined
      ? {}
      : { serves: mayServe(decision, { serving: true, stalenessSeconds: decision.lagSeconds }, 0) }),
  };
}

function attachText(attach: Extract<Plan['steps'][number], { step: 'Change' }>['attach'] | undefined): string {
  if (attach === undefined) return 'none';
  return attach.by === 'Gtid' ? formatPosition(attach.gtid) : `${attach.at.file}:${attach.at.position}`;
}

function conditionTexts({ picture, gated, observation }: Played): Record<string, string> {
  const conditions = conditionsOf({
    before: [],
    generation: 1,
    wallNow: observation.wallNow,
    accepted: { accepted: true, reason: 'Accepted', message: '' },
    diagnosis: picture.diagnosis,
    decisions: gated.decisions,
    findings: [],
    maxStalenessSeconds: 0,
  });
  return Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status}/${reason}`]));
}
