import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { type SchemaNode, crd, structural } from '../../../src/api/crd.ts';
import { withRules } from '../../../src/api/rules.ts';
import { parseResource } from '../../../src/api/v1alpha1.ts';
import { sampleResource } from './sample.ts';

const root = join(import.meta.dirname, '../../..');

function schemaOf(part: 'spec' | 'status'): SchemaNode {
  const spec = crd()['spec'] as {
    versions: { schema: { openAPIV3Schema: { properties: Record<string, SchemaNode> } } }[];
  };
  const schema = spec.versions[0]?.schema.openAPIV3Schema.properties[part];
  assert.ok(schema);
  return schema;
}

/** What the API server does with defaults: the parent first, then what is inside. */
function withDefaults(node: SchemaNode, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => withDefaults(node['items'] as SchemaNode, item));
  const properties = node['properties'] as Record<string, SchemaNode> | undefined;
  if (properties === undefined || typeof value !== 'object' || value === null) return value;
  const filled: Record<string, unknown> = { ...value };
  for (const [name, child] of Object.entries(properties)) {
    const given = filled[name] ?? structuredClone(child['default']);
    if (given !== undefined) filled[name] = withDefaults(child, given);
  }
  return filled;
}

describe('the CRD', () => {
  test('the files made from it are up to date', () => {
    const done = spawnSync(process.execPath, [join(root, 'scripts/generate.ts'), '--check'], { encoding: 'utf8' });
    assert.equal(done.status, 0, done.stderr);
  });

  test('its defaults are the defaults of the parser', () => {
    const resource = sampleResource();
    const defaulted = { ...resource, spec: withDefaults(schemaOf('spec'), resource.spec) };
    const parsed = parseResource(resource);
    const parsedAgain = parseResource(defaulted);
    assert.ok(parsed.ok && parsedAgain.ok);
    assert.deepEqual(parsedAgain.resource.spec, parsed.resource.spec);
    // All but the port of a member, whose default is another field.
    const ported = parsed.resource.spec.source.members.map(({ name, host }) => ({ name, host }));
    assert.deepEqual(defaulted.spec, {
      ...parsed.resource.spec,
      source: { ...parsed.resource.spec.source, members: ported },
    });
  });

  test('the API server fills nothing into the status', () => {
    assert.ok(!JSON.stringify(schemaOf('status')).includes('"default"'));
  });

  test('every list has a bound, so that no CEL rule is too expensive', () => {
    const unbounded: string[] = [];
    const walk = (node: SchemaNode, path: string): void => {
      if (node['type'] === 'array' && node['maxItems'] === undefined) unbounded.push(path);
      if (path.startsWith('spec') && node['type'] === 'string' && node['maxLength'] === undefined && !node['enum'])
        unbounded.push(path);
      for (const [name, child] of Object.entries((node['properties'] ?? {}) as Record<string, SchemaNode>))
        walk(child, `${path}.${name}`);
      if (node['items'] !== undefined) walk(node['items'] as SchemaNode, `${path}[]`);
    };
    walk(schemaOf('spec'), 'spec');
    walk(schemaOf('status'), 'status');
    assert.deepEqual(unbounded, []);
  });
});

describe('structural', () => {
  const forbidden: readonly (readonly [string, z.ZodType, RegExp])[] = [
    ['a union', z.object({ a: z.union([z.string(), z.boolean()]) }), /schema\.a: anyOf is not allowed/],
    ['a tuple', z.object({ a: z.tuple([z.string(), z.boolean()]) }), /schema\.a/],
    ['a strict object', z.object({ a: z.strictObject({ b: z.string() }) }), /schema\.a/],
    ['a loose object', z.object({ a: z.looseObject({ b: z.string() }) }), /schema\.a/],
    ['an unknown', z.object({ a: z.array(z.unknown()) }), /schema\.a\.items: .* needs a type/],
    ['a pattern that is not RE2', z.string().regex(/^(?!a)b$/), /is not RE2/],
  ];
  for (const [name, schema, message] of forbidden) {
    test(`refuses ${name}`, () => assert.throws(() => structural(schema), message));
  }

  test('puts a rule beside its field, and the parser holds to the same rule', () => {
    const even = withRules(z.object({ n: z.int().min(0).max(9) }), [
      { cel: 'self.n % 2 == 0', message: 'n is odd: write an even one', holds: ({ n }) => n % 2 === 0 },
    ]);
    assert.deepEqual(structural(even)['x-kubernetes-validations'], [
      { rule: 'self.n % 2 == 0', message: 'n is odd: write an even one' },
    ]);
    assert.equal(even.safeParse({ n: 3 }).error?.issues[0]?.message, 'n is odd: write an even one');
    assert.ok(even.safeParse({ n: 4 }).success);
  });
});
