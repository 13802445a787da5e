import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { moveTo } from '../../support/simulate/arbitrary.ts';
import type { WorldEvent } from '../../support/simulate/events.ts';
import { happen } from '../../support/simulate/events.ts';
import type { Run } from '../../support/simulate/history.ts';
import { calm, verdicts } from '../../support/simulate/history.ts';
import { killOperator, newCluster, pass, startOperator } from '../../support/simulate/operator.ts';
import type { PairOptions } from '../../support/simulate/world.ts';
import { newWorld } from '../../support/simulate/world.ts';

/**
 * mxr dies before and after each statement of an adoption and of the move that follows, in every mode: its successor,
 * which knows the status alone, ends it as the first would have.
 */
mock.timers.enable({ apis: ['setTimeout'] });

interface Mode {
  readonly name: string;
  readonly link: Readonly<Record<string, string>>;
  readonly pair: Pick<PairOptions, 'replicaMode' | 'dial'>;
}

const MODES: readonly Mode[] = [
  { name: 'by GTID', link: {}, pair: { replicaMode: 'Slave_Pos', dial: 'vip' } },
  { name: 'adopted by file', link: {}, pair: { replicaMode: 'No', dial: 'vip' } },
  { name: 'by file', link: { positioning: 'FilePosition' }, pair: { replicaMode: 'No', dial: 'vip' } },
  { name: 'through the VIP', link: { through: 'VIP' }, pair: { replicaMode: 'Slave_Pos', dial: 'vip' } },
];

type Steps = readonly (readonly WorldEvent[])[];

/** Nobody has the VIP for a moment, and mxr sees that. */
function move(how: 'planned' | 'crash', to = 1): Steps {
  const [first = [], ...rest] = moveTo(to, how, true).flatMap((step) => (step.kind === 'World' ? [step.events] : []));
  return [first, [{ kind: 'VipTo', members: [] }], ...rest];
}

const FAULTS: Readonly<Record<'planned' | 'crash' | 'there and back' | 'restart' | 'replica restart', Steps>> = {
  planned: move('planned'),
  crash: move('crash'),
  'there and back': [...move('planned'), ...move('crash', 0)],
  'replica restart': [[{ kind: 'RestartReplica', server: 0 }]],
  restart: [
    [{ kind: 'Stop', member: 0 }],
    [{ kind: 'Start', member: 0, clean: true, lostTail: 0, engineToo: false }],
    [{ kind: 'Promote', member: 0, drain: true }],
  ],
};

const FAULT_NAMES = Object.keys(FAULTS) as readonly (keyof typeof FAULTS)[];

interface Death {
  /** Counted over all statements that change the replica. */
  readonly at: number;
  readonly when: 'before' | 'after';
}

interface Ended {
  readonly wrong: readonly string[];
  readonly verdict: string | undefined;
  readonly record: string;
  readonly statements: number;
  /** Of these, the adoption's. */
  readonly adopting: number;
  readonly trace: readonly string[];
}

async function ends(mode: Mode, lsu: boolean, fault: keyof typeof FAULTS, death: Death | null): Promise<Ended> {
  const pair = { logSlaveUpdates: [lsu, lsu], replicaLogSlaveUpdates: true, memberMode: 'Slave_Pos' } as const;
  const cluster = newCluster(newWorld({ ...pair, ...mode.pair, replicas: 1, equalServerIds: false }), {
    link: mode.link,
  });
  const run: Run = { cluster, operator: startOperator(cluster), errors: [] };
  let statements = 0;
  cluster.onStatement = () => {
    statements += 1;
    if (statements !== death?.at) return;
    const { operator } = run;
    if (death.when === 'before') killOperator(operator);
    else setImmediate(() => killOperator(operator));
  };
  await calm(run, 10);
  const adopting = statements;
  const write: WorldEvent = { kind: 'Write', count: 2, size: 100 };
  for (const events of [[write], ...FAULTS[fault], [write]]) {
    for (const event of events) happen(cluster.world, event);
    await calm(run, 2);
  }
  await calm(run, 15);
  const wrong = await verdicts(run);
  await pass(run.operator);
  const { picture, handovers, open } = run.operator.runtime;
  const [record] = handovers;
  return {
    wrong,
    verdict: picture?.decisions[0]?.verdict,
    record: `${record?.to} ${record?.outcome}${open === null ? '' : ', open'}`,
    statements,
    adopting,
    trace: cluster.trace,
  };
}

for (const mode of MODES) {
  for (const lsu of [true, false]) {
    test(`${mode.name}, log_slave_updates=${Number(lsu)}: mxr is killed before and after each statement`, async (t) => {
      const counts: string[] = [];
      for (const fault of FAULT_NAMES) {
        const whole = await ends(mode, lsu, fault, null);
        counts.push(`${fault} ${whole.statements}`);
        const first = fault === 'planned' ? 1 : whole.adopting + 1;
        for (let at = first; at <= whole.statements; at += 1) {
          for (const when of ['before', 'after'] as const) {
            const ended = await ends(mode, lsu, fault, { at, when });
            const what = `${fault}, killed ${when} statement ${at}\n${ended.trace.slice(-60).join('\n')}`;
            assert.deepEqual(ended.wrong, [], what);
            assert.deepEqual([ended.verdict, ended.record], ['Following', whole.record], what);
          }
        }
        assert.deepEqual([whole.wrong, whole.verdict], [[], 'Following'], whole.trace.slice(-60).join('\n'));
      }
      t.diagnostic(`statements: ${counts.join(', ')}`);
    });
  }
}
