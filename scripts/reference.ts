import { crd, type SchemaNode } from '../src/api/crd.ts';
import { API_VERSION, APPROVE_ANNOTATION, HANDOVER_FINALIZER, KIND, SERVING_LABEL } from '../src/api/names.ts';
import {
  ACCEPTED_REASON_TEXT,
  CONDITION_TEXT,
  FINDING_TEXT,
  OUTCOME_TEXT,
  PROGRESS_REASON_TEXT,
  PROOF_TEXT,
  SITUATION_TEXT,
  STEP_TEXT,
  TRIGGER_TEXT,
  UNPROVEN_REASON_TEXT,
  VERDICT_TEXT,
} from '../src/api/reasons.ts';
import { CONFIG_OPTIONS, PUBLISHER_OPTIONS } from '../src/config.ts';
import type { ConfigOption } from '../src/config.ts';
import { EVENT_TABLE } from '../src/operator/event-table.ts';
import { METRICS } from '../src/ops/metrics-table.ts';
import type { MetricInfo } from '../src/ops/metrics-table.ts';
import { PUBLISHER_METRICS } from '../src/publisher/metrics-table.ts';

/** The pages of docs/reference that are made from src/api. */

type Row = readonly string[];

function table(head: Row, rows: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function page(title: string, notice: string, sections: readonly string[]): string {
  return `# ${title}\n\n<!-- ${notice} -->\n\n${sections.join('\n\n')}\n`;
}

/** Every series that `/metrics` shows beside the default ones of the process. */
export function metricsPage(notice: string): string {
  return page('Metrics', notice, [
    `## mxr operator\n\n${metricsTable(METRICS)}`,
    `## mxr publisher\n\n${metricsTable(PUBLISHER_METRICS)}`,
  ]);
}

function metricsTable(metrics: readonly MetricInfo[]): string {
  const rows = metrics.map(({ name, type, labels, help, buckets }) => {
    const bounds = buckets === undefined ? '' : ` Buckets: ${buckets.join(', ')} s.`;
    return [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(', '), `${help}${bounds}`];
  });
  return table(['Metric', 'Type', 'Labels', 'Meaning'], rows);
}

/** Every Kubernetes event that mxr emits, on transitions only. */
export function eventsPage(notice: string): string {
  const rows = Object.entries(EVENT_TABLE).map(([reason, type]) => [`\`${reason}\``, type]);
  return page('Events', notice, [table(['Reason', 'Type'], rows)]);
}

export function reasonsPage(notice: string): string {
  const sections: readonly (readonly [string, string, Readonly<Record<string, string>>])[] = [
    ['Situations of the pair', '`status.source.situation`, `mxr_source_situation{situation}`.', SITUATION_TEXT],
    [
      'Verdicts of a replica',
      'Worst first. `status.replicas[].verdict`, `mxr_replica_verdict{pod,verdict}`; `status.verdict` is the worst.',
      VERDICT_TEXT,
    ],
    ['Conditions', 'All "True is good"; Unknown before the first complete look.', CONDITION_TEXT],
    ['Reasons of Accepted', 'Why nothing is done, and what to mend.', ACCEPTED_REASON_TEXT],
    ['Reasons of Unproven', 'What is missing for a proof.', UNPROVEN_REASON_TEXT],
    [
      'Other reasons',
      'Beside any other verdict, where more than the verdict is known. Where nothing finer is known, the reason is the verdict or the situation itself.',
      PROGRESS_REASON_TEXT,
    ],
    ['Findings of FailoverReady', '`status.findings[].finding`, `mxr_failover_finding{finding}`.', FINDING_TEXT],
    ['Steps of a handover', 'In this order; also `mxr_statements_total{statement}`.', STEP_TEXT],
    ['Proofs', '`status.handovers[].replicas[].proof`.', PROOF_TEXT],
    ['Outcomes of a handover', '`status.handovers[].outcome`, `mxr_handovers_total{outcome}`.', OUTCOME_TEXT],
    ['Triggers of a handover', '`status.handovers[].trigger`.', TRIGGER_TEXT],
  ];
  return page('Situations, verdicts and reasons', notice, [
    'Each name is the same in conditions, events, metrics, logs and here. The lists may grow; a name never changes its meaning.',
    ...sections.map(
      ([title, where, texts]) =>
        `## ${title}\n\n${where}\n\n${table(
          ['name', 'meaning'],
          Object.entries(texts).map(([name, text]) => [`\`${name}\``, text]),
        )}`,
    ),
  ]);
}

export function resourcePage(notice: string): string {
  const root = rootSchema();
  const properties = root['properties'] as Record<string, SchemaNode>;
  const part = (name: 'spec' | 'status'): string => {
    const rows = fieldRows(properties[name] ?? {}, name);
    return table(['field', 'type', 'default', 'meaning'], rows);
  };
  return page(KIND, notice, [
    `\`apiVersion: ${API_VERSION}\`, \`kind: ${KIND}\`, short name \`mxr\`, namespaced.`,
    `Annotation \`${APPROVE_ANNOTATION}: <id>\` approves what the message names. Label \`${SERVING_LABEL}: "true"\` is on a pod only while it may serve reads. Finalizer \`${HANDOVER_FINALIZER}\` is on the resource only while a handover is open.`,
    `## spec\n\n${part('spec')}`,
    `## Refused by the API server\n\n${table(['field', 'message'], ruleRows(properties['spec'] ?? {}, 'spec'))}`,
    `## status\n\nA fact that is not known is absent. GTIDs are MariaDB's own text, times are RFC 3339.\n\n${part('status')}`,
  ]);
}

function rootSchema(): SchemaNode {
  const spec = crd()['spec'] as { versions: readonly { schema: { openAPIV3Schema: SchemaNode } }[] };
  return spec.versions[0]?.schema.openAPIV3Schema ?? {};
}

function fieldRows(node: SchemaNode, path: string): readonly Row[] {
  const holder = (node['items'] as SchemaNode | undefined) ?? node;
  const required = (holder['required'] ?? []) as readonly string[];
  return childrenOf(node, path).flatMap(([name, child, childPath]) => {
    // The default of an object is that of its fields, which follow.
    const fallback = child['properties'] === undefined ? child['default'] : undefined;
    const shown =
      fallback !== undefined ? `\`${JSON.stringify(fallback)}\`` : required.includes(name) ? 'required' : '';
    const row = [`\`${childPath}\``, typeText(child), shown, text(child['description'])];
    return [row, ...fieldRows(child, childPath)];
  });
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function ruleRows(node: SchemaNode, path: string): readonly Row[] {
  const rules = (node['x-kubernetes-validations'] ?? []) as readonly { message: string }[];
  return [
    ...rules.map(({ message }) => [`\`${path}\``, message]),
    ...childrenOf(node, path).flatMap(([, child, childPath]) => ruleRows(child, childPath)),
  ];
}

function childrenOf(node: SchemaNode, path: string): readonly (readonly [string, SchemaNode, string])[] {
  const holder = (node['items'] as SchemaNode | undefined) ?? node;
  const suffix = node['items'] === undefined ? '' : '[]';
  return Object.entries((holder['properties'] ?? {}) as Record<string, SchemaNode>).map(
    ([name, child]) => [name, child, `${path}${suffix}.${name}`] as const,
  );
}

function typeText(node: SchemaNode): string {
  const values = node['enum'] as readonly string[] | undefined;
  if (values !== undefined) return values.length > 10 ? 'one of a list' : values.join(', ');
  const range = [node['minimum'], node['maximum']].filter((bound) => bound !== undefined);
  if (range.length === 2 && node['maximum'] !== Number.MAX_SAFE_INTEGER) return `integer ${range.map(text).join('..')}`;
  if (node['type'] === 'array') return `list of ${text((node['items'] as SchemaNode)['type'])}`;
  if (node['additionalProperties'] !== undefined) return 'map';
  return text(node['type']) || 'integer or string';
}

export function environmentPage(notice: string): string {
  return page('Environment', notice, [
    'Configuration comes from these variables, or from the flags, which win. An unknown `MXR_*` variable or a malformed value is an error that names it.',
    `## mxr operator\n\n${settingsTable(CONFIG_OPTIONS)}`,
    `## mxr publisher\n\n${settingsTable(PUBLISHER_OPTIONS)}`,
  ]);
}

function settingsTable(options: readonly ConfigOption[]): string {
  const rows = options.map(({ name, flag, default: fallback, description }) => [
    `\`${name}\``,
    flag === '' ? '' : `\`${flag}\``,
    fallback,
    description,
  ]);
  return table(['variable', 'flag', 'default', 'meaning'], rows);
}
