import { FINDINGS, OUTCOMES, SITUATIONS } from '../api/reasons.ts';
import type { Finding, Outcome, Situation, Verdict } from '../api/reasons.ts';
import type { Status } from '../api/v1alpha1.ts';
import { METRIC } from './metrics-table.ts';
import type { MetricInfo } from './metrics-table.ts';

/** The whole picture of one resource: what is not in it has no series. Absent is unknown, never 0. */
export interface ResourcePicture {
  readonly members: readonly MemberPicture[];
  readonly situation?: Situation | undefined;
  readonly replicas: readonly ReplicaPicture[];
  readonly failoverReady?: boolean | undefined;
  readonly findings: readonly Finding[];
}

export interface MemberPicture {
  readonly name: string;
  readonly holder: boolean;
  /** Absent where nobody looks. */
  readonly up?: boolean | undefined;
  /** Absent where it has none, or nobody looks. */
  readonly publisherUp?: boolean | undefined;
}

export interface ReplicaPicture {
  readonly pod: string;
  readonly following: boolean;
  readonly verdict: Verdict;
  /** Other verdicts that it had before: their series are 0, so that an alert on one ends. */
  readonly past?: readonly Verdict[];
  readonly lagSeconds?: number | undefined;
  readonly retention?: { readonly member: string; readonly seconds: number } | undefined;
}

/** What a status shows; a condition that is Unknown is absent. */
export function pictureOf(status: Status): ResourcePicture {
  const { source, replicas, findings, conditions, holder } = status;
  const ready = conditions.find((condition) => condition.type === 'FailoverReady')?.status ?? 'Unknown';
  return {
    members: source.members.map(({ name, reachable, publisher }) => ({
      name,
      holder: name === holder,
      up: source.situation === undefined ? undefined : reachable,
      publisherUp: source.situation === undefined ? undefined : publisher?.reachable,
    })),
    situation: source.situation,
    replicas: replicas.map((replica) => ({
      pod: replica.pod,
      following: replica.ready,
      verdict: replica.verdict,
      lagSeconds: replica.lagSeconds,
      retention: retentionOf(replica, holder),
    })),
    failoverReady: ready === 'Unknown' ? undefined : ready === 'True',
    findings: findings.map(({ finding }) => finding),
  };
}

function retentionOf(replica: Status['replicas'][number], holder: string): ReplicaPicture['retention'] {
  const seconds = replica.retentionHeadroomSeconds;
  const member = replica.attachedTo ?? holder;
  return seconds === undefined || member === '' ? undefined : { member, seconds };
}

/** One series: its labels beside namespace and name, and its value. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

export interface PictureMetric {
  readonly info: MetricInfo;
  readonly samples: (picture: ResourcePicture) => readonly Sample[];
}

export const PICTURE_METRICS: readonly PictureMetric[] = [
  {
    info: METRIC.holder,
    samples: ({ members }) => members.map(({ name, holder }) => [{ member: name }, Number(holder)]),
  },
  {
    info: METRIC.memberUp,
    samples: ({ members }) =>
      members.flatMap(({ name, up }): Sample[] => (up === undefined ? [] : [[{ member: name }, Number(up)]])),
  },
  {
    info: METRIC.publisherUp,
    samples: ({ members }) =>
      members.flatMap(({ name, publisherUp: up }): Sample[] =>
        up === undefined ? [] : [[{ member: name }, Number(up)]],
      ),
  },
  {
    info: METRIC.situation,
    samples: (picture) => SITUATIONS.map((situation) => [{ situation }, Number(situation === picture.situation)]),
  },
  {
    info: METRIC.following,
    samples: ({ replicas }) => replicas.map(({ pod, following }) => [{ pod }, Number(following)]),
  },
  {
    info: METRIC.verdict,
    samples: ({ replicas }) =>
      replicas.flatMap(({ pod, verdict, past = [] }): Sample[] => [
        [{ pod, verdict }, 1],
        ...past.map((former): Sample => [{ pod, verdict: former }, 0]),
      ]),
  },
  {
    info: METRIC.lag,
    samples: ({ replicas }) =>
      replicas.flatMap(({ pod, lagSeconds }): Sample[] => (lagSeconds === undefined ? [] : [[{ pod }, lagSeconds]])),
  },
  {
    info: METRIC.retention,
    samples: ({ replicas }) =>
      replicas.flatMap(({ pod, retention }): Sample[] =>
        retention === undefined ? [] : [[{ pod, member: retention.member }, retention.seconds]],
      ),
  },
  {
    info: METRIC.failoverReady,
    samples: ({ failoverReady }) => (failoverReady === undefined ? [] : [[{}, Number(failoverReady)]]),
  },
  {
    info: METRIC.finding,
    samples: ({ findings }) => FINDINGS.map((finding) => [{ finding }, Number(findings.includes(finding))]),
  },
];

export type HandoverCounts = Readonly<Record<Outcome, number>>;

/** From 0 on: `increase()` does not see the first count of a series that begins with 1. */
export const NO_HANDOVERS = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as HandoverCounts;

export function handoverSamples(counts: HandoverCounts): readonly Sample[] {
  return OUTCOMES.map((outcome) => [{ outcome }, counts[outcome]]);
}

/** The lines of one metric in Prometheus' text format. */
export function linesOf(
  info: MetricInfo,
  resource: Readonly<Record<string, string>>,
  samples: readonly Sample[],
): string {
  const common = labelText(resource);
  return samples
    .map(([labels, value]) => `${info.name}{${[common, labelText(labels)].filter(Boolean).join(',')}} ${value}\n`)
    .join('');
}

function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',');
}

function escaped(value: string): string {
  return value
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', String.raw`\n`)
    .replaceAll('"', String.raw`\"`);
}
