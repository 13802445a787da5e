import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import type { WorldEvent } from '../../support/simulate/events.ts';
import { happen } from '../../support/simulate/events.ts';
import type { Run } from '../../support/simulate/history.ts';
import { calm, verdicts } from '../../support/simulate/history.ts';
import { advance, killOperator, newCluster, pass, round, startOperator } from '../../support/simulate/operator.ts';
import type { SimServer } from '../../support/simulate/server.ts';
import { startServer, stopServer } from '../../support/simulate/server.ts';
import { flowOne, newWorld, wallOf } from '../../support/simulate/world.ts';

/**
 * Replicas that were down while the primary went on and died: the standby has what they lack and never logged it. They are
 * filled, and whatever happens at whichever statement of that, nothing is lost, doubled or called what it is not.
 */
mock.timers.enable({ apis: ['setTimeout'] });

/** Who has what is missing: the old primary, which comes back with more than anybody else has, or a replica. */
type From = 'the old member' | 'a sibling';

interface Stop {
  /** Counted over all statements on the replicas that are filled. */
  readonly at: number;
  readonly when: 'before' | 'after';
  readonly what: (run: Run) => void;
}

interface Ended {
  readonly wrong: readonly string[];
  readonly verdicts: readonly string[];
  readonly proofs: readonly string[];
  readonly positions: readonly string[];
  readonly statements: number;
  readonly trace: readonly string[];
}

const PAIR = {
  logSlaveUpdates: [false, false],
  replicaLogSlaveUpdates: true,
  replicas: 3,
  memberMode: 'Slave_Pos',
  replicaMode: 'Slave_Pos',
  dial: 'member',
  equalServerIds: false,
} as const;

/** How the standby follows the primary, and how the replicas do. */
type Modes = 'GTID' | 'file, by GTID' | 'file';

async function gap(from: From, onGap: 'Fill' | 'Halt', modes: Modes): Promise<Run> {
  const memberMode = modes === 'GTID' ? 'Slave_Pos' : 'No';
  const [replicaMode, positioning] =
    modes === 'file' ? (['No', 'FilePosition'] as const) : (['Slave_Pos', 'Auto'] as const);
  const cluster = newCluster(newWorld({ ...PAIR, memberMode, replicaMode }), {
    policy: { onGap },
    link: { positioning },
  });
  const run: Run = { cluster, operator: startOperator(cluster), errors: [] };
  const { world } = cluster;
  await calm(run, 12);
  const [first, second, third] = world.replicas;
  assert.ok(first && second && third);
  const wrote: WorldEvent = { kind: 'Write', count: 3, size: 100 };
  for (const replica of [first, second, ...(from === 'a sibling' ? [] : [third])]) {
    stopServer(replica);
    happen(world, wrote);
    await calm(run, 2);
  }
  const then: readonly WorldEvent[] = [
    // What nobody but the old primary ever had.
    ...(from === 'a sibling' ? [] : [{ kind: 'WriteOn', member: 0, count: 2 } as const]),
    { kind: 'Stop', member: 0 },
    { kind: 'VipTo', members: [] },
    { kind: 'Promote', member: 1, drain: true },
    { kind: 'VipTo', members: [1] },
    wrote,
  ];
  for (const event of then) happen(world, event);
  await calm(run, 3);
  const down = world.replicas.filter(({ up }) => !up);
  for (const replica of down) {
    world.now += 2_000;
    startServer(replica, wallOf(world), { clean: true, lostTail: 0, engineToo: false });
  }
  return run;
}

async function ends(from: From, stop: Stop | null, modes: Modes = 'GTID'): Promise<Ended> {
  const run = await gap(from, 'Fill', modes);
  const { cluster } = run;
  let statements = 0;
  cluster.onStatement = (server) => {
    if (server === cluster.world.replicas[2]) return;
    statements += 1;
    if (statements !== stop?.at) return;
    if (stop.when === 'before') stop.what(run);
    else setImmediate(() => stop.what(run));
  };
  if (from === 'the old member') {
    await calm(run, 5);
    happen(cluster.world, { kind: 'Revive', member: 0 });
  }
  // One transaction at a time: whatever happens there meets a fill under way.
  await slowly(run, 45);
  await calm(run, 20);
  const count = statements;
  const wrong = await verdicts(run);
  await pass(run.operator);
  const { picture, handovers } = run.operator.runtime;
  return {
    wrong,
    verdicts: picture?.decisions.map(({ verdict }) => verdict) ?? [],
    proofs: handovers.flatMap(({ to, replicas }) => replicas.map(({ pod, proof }) => `${to} ${pod} ${proof}`)),
    positions: cluster.world.replicas.map(({ slavePos }) => [...slavePos.values()].map(({ seq }) => seq).join()),
    statements: count,
    trace: cluster.trace,
  };
}

async function slowly(run: Run, rounds: number): Promise<void> {
  const { world } = run.cluster;
  for (let left = rounds; left > 0; left -= 1) {
    for (const replica of world.replicas) flowOne(world, replica, { receive: 1, apply: 1 });
    if (!run.operator.alive) run.operator = startOperator(run.cluster);
    await round(run.operator);
    await advance(world, 100);
  }
}

function restart(server: SimServer, run: Run): void {
  const { world } = run.cluster;
  world.now += 2_000;
  stopServer(server);
  startServer(server, wallOf(world), { clean: true, lostTail: 0, engineToo: false });
}

describe('a gap is filled', () => {
  for (const from of ['the old member', 'a sibling'] as const) {
    for (const modes of ['GTID', 'file, by GTID', 'file'] as const) {
      test(`from ${from}, and everybody ends at one place (the pair by ${modes})`, async () => {
        const ended = await ends(from, null, modes);
        const trace = ended.trace.slice(-120).join('\n');
        assert.deepEqual([ended.wrong, ended.verdicts], [[], ['Following', 'Following', 'Following']], trace);
        assert.deepEqual(new Set(ended.positions).size, 1, trace);
        const filled = ended.proofs.filter((one) => one.endsWith('Filled')).toSorted();
        const all = ['b r0 Filled', 'b r1 Filled', ...(from === 'a sibling' ? [] : ['b r2 Filled'])];
        assert.deepEqual(filled, all, trace);
      });
    }
  }

  test('not with onGap: Halt', async () => {
    const run = await gap('a sibling', 'Halt', 'GTID');
    const before = run.cluster.trace.length;
    await calm(run, 30);
    const decisions = run.operator.runtime.picture?.decisions ?? [];
    assert.deepEqual(
      decisions.map(({ verdict }) => verdict),
      ['Behind', 'Behind', 'Following'],
    );
    assert.ok(!run.cluster.trace.slice(before).some((line) => /r[01]: (START|CHANGE)/.test(line)));
  });
});

const MISHAPS: Readonly<Record<string, (run: Run) => void>> = {
  'mxr is killed': ({ operator }) => killOperator(operator),
  'the replica restarts, and starts its link by itself': (run) => {
    const [replica] = run.cluster.world.replicas;
    assert.ok(replica);
    replica.autostart = true;
    restart(replica, run);
  },
  'the replica restarts and mxr is killed': (run) => {
    const [replica] = run.cluster.world.replicas;
    assert.ok(replica);
    replica.autostart = true;
    restart(replica, run);
    killOperator(run.operator);
  },
  'the other replica restarts': (run) => {
    const replica = run.cluster.world.replicas[2];
    assert.ok(replica);
    restart(replica, run);
  },
  'the old primary dies': (run) => happen(run.cluster.world, { kind: 'Stop', member: 0 }),
  'the VIP goes back to the old primary': (run) => {
    const { world } = run.cluster;
    happen(world, { kind: 'ReadOnly', member: 1, readOnly: true });
    happen(world, { kind: 'VipTo', members: [] });
    if (!world.members[0].up) happen(world, { kind: 'Revive', member: 0 });
    setImmediate(() => {
      happen(world, { kind: 'VipTo', members: [0] });
      happen(world, { kind: 'Promote', member: 0, drain: true });
    });
  },
  'the VIP is lost for a moment': (run) => {
    const { world } = run.cluster;
    happen(world, { kind: 'VipTo', members: [] });
    setImmediate(() => setImmediate(() => setImmediate(() => happen(world, { kind: 'VipTo', members: [1] }))));
  },
};

/** A link that a restart starts anew takes in what only its source has; and nobody else has what a dead primary had. */
function allowed(name: string, from: From, index: number): readonly string[] {
  // The new holder's own writes are nobody else's then.
  if (name === 'the VIP goes back to the old primary') return ['Ahead', 'Unproven'];
  if (from === 'a sibling') return [];
  if (name === 'the old primary dies') return ['Behind'];
  return index === 0 && name.startsWith('the replica restarts') ? ['Ahead'] : [];
}

/** By file only where coordinates of before the fill would be used again. */
const CASES = [
  ...Object.entries(MISHAPS).map(([name, what]) => ({ name, what, modes: 'GTID' as const })),
  ...Object.entries(MISHAPS).flatMap(([name, what]) =>
    name === 'the VIP goes back to the old primary' ? [{ name, what, modes: 'file' as const }] : [],
  ),
];

describe('at each statement of a fill', { timeout: 300_000 }, () => {
  for (const from of ['the old member', 'a sibling'] as const) {
    for (const { name, what, modes } of CASES) {
      test(`from ${from}: ${name}${modes === 'GTID' ? '' : ', by file'}`, async () => {
        const whole = await ends(from, null, modes);
        assert.ok(
          whole.proofs.some((proof) => proof.endsWith(' Filled')) && whole.statements > 0,
          whole.trace.join('\n'),
        );
        for (let at = 1; at <= whole.statements; at += 1) {
          for (const when of ['before', 'after'] as const) {
            const ended = await ends(from, { at, when, what }, modes);
            const text = `${when} statement ${at} of ${whole.statements}\n${ended.trace.slice(-150).join('\n')}`;
            assert.deepEqual(ended.wrong, [], text);
            assert.equal(ended.verdicts.length, whole.verdicts.length, text);
            for (const [index, verdict] of ended.verdicts.entries()) {
              assert.ok(verdict === 'Following' || allowed(name, from, index).includes(verdict), `${verdict} ${text}`);
            }
          }
        }
      });
    }
  }
});
