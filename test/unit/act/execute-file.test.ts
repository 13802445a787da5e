import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Execution, ExecuteContext } from '../../../src/act/execution.ts';
import { execute } from '../../../src/act/execute.ts';
import type { Coordinates, Link } from '../../../src/domain/observation.ts';
import type { LinkTarget, Plan } from '../../../src/domain/plan.ts';
import { planAdopt, planMove } from '../../../src/domain/plan.ts';
import type { Proven } from '../../../src/domain/proof.ts';
import type { SqlSession } from '../../../src/sql/port.ts';
import { holderLook, link, position, state } from '../domain/pair-fixture.ts';

/** A replica by file/position that went on applying between the look that a plan rests on and the moment it stops. */

const PLANNED = { file: 'a-bin.000003', position: 900 };
const STOPPED = { file: 'a-bin.000003', position: 1400 };
const TARGET: LinkTarget = { member: 'a', host: '10.0.0.11', port: 3306, through: 'Member' };

function proven(proof: Proven['proof']): Proven {
  return { kind: 'Proven', proof, gtid: position('0-1-100'), at: PLANNED, contains: state('0-1-100'), because: '' };
}

function parts(proof: Proven['proof'], received: string) {
  const common = { pod: 'orders-0', from: 'a', target: TARGET, positioning: 'FilePosition' } as const;
  return { ...common, trigger: 'VipMoved', proven: proven(proof), received: state(received) } as const;
}

interface Replica {
  link: Link;
  gtid: string;
  readonly statements: string[];
}

function session(replica: Replica): SqlSession {
  return {
    query: async (sql: string, params: readonly unknown[]) => {
      if (sql.startsWith('SELECT GET_LOCK')) return [{ taken: '1' }];
      if (/^(STOP|CHANGE|START)/.test(sql))
        replica.statements.push(`${sql.slice(0, 13)} ${params.slice(-2).join(':')}`);
      if (sql === 'STOP SLAVE IO_THREAD') replica.link = { ...replica.link, io: 'No' };
      if (sql === 'STOP SLAVE') replica.link = { ...replica.link, io: 'No', sql: 'No' };
      if (sql.startsWith('CHANGE')) replica.link = { ...replica.link, host: TARGET.host, usingGtid: 'No' };
      if (sql.startsWith('START')) replica.link = { ...replica.link, io: 'Yes', sql: 'Yes' };
      return [];
    },
    destroy: () => undefined,
  } as unknown as SqlSession;
}

async function carriedOut(plan: Plan, replica: Replica, holderSays: (at: Coordinates) => string): Promise<Execution> {
  const dumps = [{ connectionId: 1, address: '10.1.0.1', user: 'repl', ageSeconds: 9 }];
  let now = 0;
  const target = holderLook({ dumps, end: STOPPED, gtidBinlogState: state('0-1-105') });
  const context = {
    connect: async () => session(replica),
    replica: { name: 'replica orders-0' },
    replicaIp: '10.1.0.1',
    link: { channel: '', user: 'u', password: 'p', netTimeoutSeconds: 8, tls: { mode: 'Disabled' } },
    keepReadOnly: false,
    leaseDurationMs: 15_000,
    statementDeadlineMs: 1_000,
    clock: { monotonicMs: () => (now += 1_000), wallMs: () => 5 },
    signal: new AbortController().signal,
    fence: () => undefined,
    targetLook: () => ({ look: target, at: Number.POSITIVE_INFINITY }),
    relayRest: async () => 'Whole' as const,
    gtidOnTarget: async (at: Coordinates) => position(holderSays(at)),
    lookAt: async () => ({ gtidSlavePos: position(replica.gtid), readOnly: true, links: [replica.link] }),
    onStep: () => undefined,
    onStatement: () => undefined,
  };
  return execute(plan, context as unknown as ExecuteContext);
}

function replicaAt(gtid: string, exec: Coordinates): Replica {
  return { link: link({ host: '10.0.0.100', usingGtid: 'No', read: exec, exec }), gtid, statements: [] };
}

test('an adoption by file/position goes on where the replica stopped, not where it was seen: no row is applied twice', async () => {
  const replica = replicaAt('0-1-105', STOPPED);
  const execution = await carriedOut(planAdopt(parts('SameServer', '0-1-100'), replica.link), replica, (at) =>
    at.position === STOPPED.position ? '0-1-105' : '0-1-100',
  );

  assert.equal(execution.message, '');
  assert.deepEqual(
    replica.statements.filter((sql) => sql.startsWith('CHANGE')),
    ['CHANGE MASTER a-bin.000003:1400'],
  );
});

test('an adoption touches no link that somebody has pointed elsewhere since it was proven', async () => {
  const replica = replicaAt('0-1-105', STOPPED);
  const plan = planAdopt(parts('SameServer', '0-1-100'), { host: '10.0.0.11', port: 3306 });
  const execution = await carriedOut(plan, replica, () => '0-1-105');

  assert.equal(execution.code, 'FenceLost');
  assert.match(execution.message, /its link points at 10\.0\.0\.100:3306/);
  assert.deepEqual(replica.statements, []);
});

test('a move to coordinates is not made from a position that they were not proven for', async () => {
  const replica = replicaAt('0-1-103', STOPPED);
  const execution = await carriedOut(planMove(parts('Contained', '0-1-105')), replica, () => '0-1-103');

  assert.equal(execution.code, 'FenceLost');
  assert.match(execution.message, /was proven for 0-1-100, it stopped at 0-1-103/);
  assert.equal(
    replica.statements.some((sql) => sql.startsWith('CHANGE')),
    false,
  );
});

test('a move to coordinates from the proven position is made there', async () => {
  const replica = replicaAt('0-1-100', PLANNED);
  await carriedOut(planMove(parts('Contained', '0-1-100')), replica, () => '0-1-100');

  assert.deepEqual(
    replica.statements.filter((sql) => sql.startsWith('CHANGE')),
    ['CHANGE MASTER a-bin.000003:900'],
  );
});
