import { z } from 'zod';
import { CRD_NAME, GROUP, KIND, LIST_KIND, PLURAL, SHORT_NAME, SINGULAR, VERSION } from './names.ts';
import { Spec } from './spec.ts';
import { Status } from './status.ts';

/** One node of a structural schema, as JSON. */
export type SchemaNode = Record<string, unknown>;

/**
 * Keywords that a structural schema may have. Everything else fails the generator: the API server would refuse it
 * (or, worse, drop it silently), and zod writes some of them for types that look harmless.
 */
const KEYWORDS = new Set([
  'type',
  'description',
  'default',
  'enum',
  'format',
  'pattern',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'maxItems',
  'maxProperties',
  'required',
  'properties',
  'additionalProperties',
  'items',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-validations',
]);
/** RE2, which the API server uses, has no look-around and no back-references. */
const NOT_RE2 = /\(\?[=!<]|\\[1-9]/;

/** The CustomResourceDefinition, ready to be written as YAML. */
export function crd(): SchemaNode {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: CRD_NAME,
      // Helm must never take the resources, and with them the memory of every handover, along at uninstall.
      annotations: { 'helm.sh/resource-policy': 'keep' },
    },
    spec: {
      group: GROUP,
      names: { kind: KIND, listKind: LIST_KIND, plural: PLURAL, singular: SINGULAR, shortNames: [SHORT_NAME] },
      scope: 'Namespaced',
      versions: [version()],
    },
  };
}

function version(): SchemaNode {
  return {
    name: VERSION,
    served: true,
    storage: true,
    subresources: { status: {} },
    additionalPrinterColumns: printerColumns(),
    schema: {
      openAPIV3Schema: {
        description: 'Keeps in-cluster MariaDB replicas following an external MariaDB pair behind a virtual IP.',
        type: 'object',
        required: ['spec'],
        properties: {
          apiVersion: { type: 'string' },
          kind: { type: 'string' },
          metadata: { type: 'object' },
          spec: structural(Spec),
          status: withoutDefaults(structural(Status)),
        },
      },
    },
  };
}

function printerColumns(): readonly SchemaNode[] {
  const condition = (type: string): string => `.status.conditions[?(@.type=="${type}")].status`;
  return [
    { name: 'Holder', type: 'string', jsonPath: '.status.holder' },
    { name: 'Following', type: 'string', jsonPath: '.status.following' },
    { name: 'Ready', type: 'string', jsonPath: condition('Ready') },
    { name: 'Failover-Ready', type: 'string', jsonPath: condition('FailoverReady') },
    { name: 'Lag', type: 'integer', jsonPath: '.status.lagSeconds' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    { name: 'Verdict', type: 'string', jsonPath: '.status.verdict', priority: 1 },
    { name: 'Last-Handover', type: 'date', jsonPath: '.status.lastHandover', priority: 1 },
  ];
}

/** zod to a structural schema. Throws, naming the path, on anything that the API server would not take. */
export function structural(schema: z.ZodType): SchemaNode {
  const json = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    reused: 'inline',
    unrepresentable: 'throw',
    override: ({ jsonSchema }) => {
      // The API server knows the format by itself; zod's pattern for it is a screenful.
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
      if (jsonSchema['x-kubernetes-int-or-string'] === true) delete jsonSchema.anyOf;
    },
  });
  const node = JSON.parse(JSON.stringify(json)) as SchemaNode;
  check(node, 'schema');
  spellOutDefaults(node);
  return node;
}

/**
 * `{}` as the default of an object whose fields have their own: the API server judges CEL rules on the default as it
 * is written, before it fills in anything, so what `{}` stands for has to be written.
 */
function spellOutDefaults(node: SchemaNode): void {
  for (const [, child] of children(node)) spellOutDefaults(child);
  const properties = node['properties'] as Record<string, SchemaNode> | undefined;
  if (properties === undefined || node['default'] === undefined) return;
  const own = Object.entries(properties).flatMap(([name, { default: value }]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  node['default'] = { ...Object.fromEntries(own), ...(node['default'] as object) };
}

function check(node: SchemaNode, path: string): void {
  for (const keyword of Object.keys(node)) {
    if (!KEYWORDS.has(keyword)) throw new Error(`${path}: ${keyword} is not allowed in a structural schema`);
  }
  if (node['type'] === undefined && node['x-kubernetes-int-or-string'] !== true) {
    throw new Error(`${path}: a structural schema needs a type everywhere`);
  }
  if (typeof node['pattern'] === 'string' && NOT_RE2.test(node['pattern'])) {
    throw new Error(`${path}: the pattern ${node['pattern']} is not RE2`);
  }
  if (node['properties'] !== undefined && node['additionalProperties'] !== undefined) {
    throw new Error(`${path}: properties and additionalProperties exclude each other`);
  }
  for (const [name, child] of children(node)) check(child, `${path}.${name}`);
}

function children(node: SchemaNode): readonly (readonly [string, SchemaNode])[] {
  const properties = Object.entries((node['properties'] ?? {}) as Record<string, SchemaNode>);
  const nested = ['items', 'additionalProperties'].flatMap((keyword) => {
    const child = node[keyword];
    return child === undefined ? [] : [[keyword, child as SchemaNode] as const];
  });
  return [...properties, ...nested];
}

/** The defaults of the status are for the parser; the API server must not fill in what mxr did not write. */
function withoutDefaults(node: SchemaNode): SchemaNode {
  const kept: SchemaNode = { ...node };
  delete kept['default'];
  for (const keyword of ['items', 'additionalProperties']) {
    if (kept[keyword] !== undefined) kept[keyword] = withoutDefaults(kept[keyword] as SchemaNode);
  }
  const properties = kept['properties'] as Record<string, SchemaNode> | undefined;
  if (properties !== undefined) {
    kept['properties'] = Object.fromEntries(
      Object.entries(properties).map(([name, child]) => [name, withoutDefaults(child)]),
    );
  }
  return kept;
}
