import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import type { Answers, Question } from '../../../src/domain/evidence.ts';
import { questionKey } from '../../../src/domain/evidence.ts';
import type { Fact } from '../../../src/domain/fact.ts';
import { known, unknown } from '../../../src/domain/fact.ts';
import type { Gated } from '../../../src/domain/gate.ts';
import { gate } from '../../../src/domain/gate.ts';
import type { Intended } from '../../../src/domain/intent.ts';
import { factsOf } from '../../../src/domain/context.ts';
import { violations } from '../../../src/domain/invariants.ts';
import type { Donor, Fill } from '../../../src/domain/plan.ts';
import type { Picture } from '../../../src/domain/judge.ts';
import { judge } from '../../../src/domain/judge.ts';
import type { Memory } from '../../../src/domain/memory.ts';
import type { Observation } from '../../../src/domain/observation.ts';
import type { PairMemory } from '../../../src/domain/situation.ts';
import { NEW_PAIR } from '../../../src/domain/situation.ts';
import { answerFor, failureOf, nameOf } from './answers.ts';
import { hostOf, observe } from './build.ts';
import type { Scene } from './build.ts';
import { startOf } from './times.ts';
import type { Scenario } from './vocabulary.ts';
import { Phase } from './vocabulary.ts';
import { placeOf, position } from './words.ts';

/** What mxr knows while a scenario is played. */
interface Playing {
  scene: Scene;
  now: number;
  memory: Memory;
  pair: PairMemory;
  readonly evidence: Map<string, Fact<Answers[Question['kind']]>>;
  readonly approved: Set<string>;
  awaiting: string | null;
}

export interface Played {
  readonly phase: Phase;
  readonly observation: Observation;
  readonly picture: Picture;
  readonly gated: Gated;
  /** Asked, and the file has no answer. */
  readonly open: readonly string[];
  /** Invariants that a plan broke. */
  readonly broken: readonly string[];
}

const PASS_MS = 1000;

/** Looks at each phase a few times, as mxr does: questions get the file's answers, the last pass is what counts. */
export function play(scenario: Scenario): Played[] {
  const playing: Playing = {
    scene: { vip: 'a', members: {}, replicas: {} },
    now: 100_000,
    memory: { members: new Map(), replicas: new Map() },
    pair: NEW_PAIR,
    evidence: new Map(),
    approved: new Set(),
    awaiting: null,
  };
  const beginning = scenario.begin === 'nothing' ? [] : [beginningOf(scenario.begin)];
  return [...beginning, ...scenario.phases].map((phase) => playPhase(playing, scenario, phase));
}

function beginningOf(name: string): Phase {
  const text = readFileSync(join(import.meta.dirname, 'beginnings.yaml'), 'utf8');
  const beginnings = z.record(z.string(), Phase).parse(parse(text));
  const beginning = beginnings[name];
  if (beginning === undefined) throw new Error(`no beginning ${name}`);
  return beginning;
}

function playPhase(playing: Playing, scenario: Scenario, phase: Phase): Played {
  playing.scene = merged(playing.scene, phase);
  playing.now += phase.after * 1000;
  if (phase.newProcess) newProcess(playing);
  if (phase.gates?.approve === true && playing.awaiting !== null) playing.approved.add(playing.awaiting);
  let played = pass(playing, scenario, phase);
  for (let left = phase.looks; left > 1; left -= 1) played = pass(playing, scenario, phase);
  playing.awaiting = played.gated.awaiting ?? printedId(played);
  return played;
}

function printedId({ picture }: Played): string | null {
  const texts = picture.decisions.map(({ message }) => message);
  return /mxr\.dev\/approve=([\w-]+)/.exec(texts.join('\n'))?.[1] ?? null;
}

/** Names in a phase change what they name; the rest stays. */
function merged(scene: Scene, phase: Phase): Scene {
  const names = <T>(before: Readonly<Record<string, T>>, change: Readonly<Record<string, T>>) =>
    Object.fromEntries(
      [...new Set([...Object.keys(before), ...Object.keys(change)])].map((name) => [
        name,
        { ...before[name], ...change[name] },
      ]),
    );
  return {
    vip: phase.vip ?? scene.vip,
    members: names(scene.members, phase.members ?? {}),
    replicas: names(scene.replicas, phase.replicas ?? {}),
  };
}

function pass(playing: Playing, scenario: Scenario, phase: Phase): Played {
  playing.now += PASS_MS;
  const { scene, now } = playing;
  const observation = observe(scene, now);
  const policy = {
    channel: '',
    vip: { host: '10.0.0.100', port: 3306 },
    keepReadOnly: true,
    replicaPort: 3306,
    ...scenario.policy,
    ...(scenario.policy.fillsFromFiles ? { files: { dial: { host: hostOf('mxr'), port: 3306 } } } : {}),
  };
  const picture = judge({
    policy,
    observation,
    memory: playing.memory,
    pair: playing.pair,
    evidence: playing.evidence,
    busy: busyOf(scene, now),
    actedAt: new Map(),
    intended: intendedOf(playing),
    relink: new Set(phase.relink),
    approved: playing.approved,
    failures: new Map(),
  });
  playing.memory = picture.memory;
  playing.pair = picture.pair;
  const { handover = 'Auto', suspend = false, holdDownSeconds = 0 } = phase.gates ?? {};
  const gates = { suspend, handover, holdDownMs: holdDownSeconds * 1000, approved: playing.approved };
  const gated = gate(picture, gates, now);
  const open = answer(playing, phase, picture.questions);
  const broken = gated.plans.flatMap((plan) => {
    const observed = observation.replicas.find((one) => one.pod === plan.pod);
    const replica =
      observed === undefined
        ? null
        : factsOf({ memory: picture.memory, policy, observation, evidence: playing.evidence }, observed);
    return replica === null
      ? ['a plan for nobody']
      : violations(plan, { ...picture, replica }).map((one) => one.message);
  });
  return { phase, observation, picture, gated, open, broken };
}

function answer(playing: Playing, phase: Phase, questions: readonly Question[]): string[] {
  const open = new Set<string>();
  for (const question of questions) {
    const value = answerFor(question, phase.answers ?? []);
    const code = value === undefined ? failureOf(question, phase.answers ?? []) : undefined;
    if (code !== undefined) playing.evidence.set(questionKey(question), unknown(code, 'no answer', playing.now));
    else if (value === undefined) open.add(nameOf(question));
    else playing.evidence.set(questionKey(question), known(value, playing.now));
  }
  return [...open];
}

function busyOf(scene: Scene, now: number): Map<string, { what: string; since: number }> {
  return new Map(
    Object.entries(scene.replicas).flatMap(([pod, { busy }]) =>
      busy == null ? [] : [[pod, { what: busy.what, since: now - busy.seconds * 1000 }] as const],
    ),
  );
}

function intendedOf({ scene, memory }: Playing): Map<string, Intended> {
  return new Map(
    Object.entries(scene.replicas).flatMap(([pod, { intended }]) => {
      const member = intended == null ? undefined : memory.members.get(intended.member);
      if (intended == null || member === undefined) return [];
      const at = intended.at === undefined ? null : placeOf(intended.at);
      const { lineage, identity } = member;
      const replicaStartedAt = intended.life === undefined ? null : startOf(intended.life);
      const target = { member: member.name, lineage, startedAt: identity.startedAt };
      const fill = intended.fill === undefined ? {} : { fill: fillOf(intended.fill, intended.gtid) };
      return [[pod, { ...target, gtid: position(intended.gtid), at, replicaStartedAt, ...fill }] as const];
    }),
  );
}

function donorOf(by: string, files: string | undefined): Donor {
  if (files !== undefined) return { kind: 'Files', member: files };
  return /^r\d+$/.test(by) ? { kind: 'Sibling', pod: by } : { kind: 'Member', member: by };
}

function fillOf({ by, upTo, started }: { by: string; upTo: string; started: number }, from: string): Fill {
  const files = /^files of (\w+)$/.exec(by)?.[1];
  const dial = { host: hostOf(files === undefined ? by : 'mxr'), port: 3306 };
  const donor = donorOf(by, files);
  return { donor, dial, startedAt: startOf(started), upTo: position(upTo), from: position(from) };
}

/** What a status keeps: of a member's looks the newest, of a replica's what was proven. */
function newProcess(playing: Playing): void {
  const { members, replicas } = playing.memory;
  playing.pair = NEW_PAIR;
  playing.evidence.clear();
  playing.memory = {
    members: new Map(
      [...members].map(([name, member]) => [name, { ...member, watched: false, anchors: member.anchors.slice(-1) }]),
    ),
    replicas: new Map(
      [...replicas].map(([pod, replica]) => [
        pod,
        { ...replica, standing: null, link: null, refusal: null, fed: null, connectedTo: null, forgotten: null },
      ]),
    ),
  };
}
