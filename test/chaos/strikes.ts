import { isFrozen } from '../support/freeze.ts';
import type { Host, Traffic } from '../support/net.ts';
import { openSession } from '../support/mariadb-sql.ts';
import type { Field } from './field.ts';
import type { Fault, Kind } from './plan.ts';
import { PAIR_STRIKES } from './strikes-pair.ts';
import { SHARED_STRIKES } from './strikes-shared.ts';
import type { Heal, Strike, Struck } from './struck.ts';
import { NOT_MADE, nothing } from './struck.ts';

const LOCKED = 'LOCK TABLES app.plain READ, app.auto READ, app.hot READ, app.firsts READ';
const LEAST_LOSS = 15;

const REPLICA_STRIKES = {
  'kill-replica': async (field, fault) => {
    const { db, name } = field.replica(fault.replica);
    const ran = db.running;
    if (ran) field.past.restarted.add(name);
    await db.kill9();
    return {
      made: ran,
      heal: async () => {
        if (!db.running) await db.start();
      },
    };
  },
  'restart-replica': async (field, fault) => {
    const { db, name } = field.replica(fault.replica);
    const ran = db.running;
    if (ran) field.past.restarted.add(name);
    await db.restart();
    return { made: ran, heal: nothing };
  },
  'freeze-replica': async (field, fault) => {
    const { db } = field.replica(fault.replica);
    if (!db.running) return NOT_MADE;
    await db.freeze();
    return { made: isFrozen(db.pid), heal: async () => db.thaw() };
  },
  'lock-replica': async (field, fault) => {
    const { db } = field.replica(fault.replica);
    if (!db.running) return NOT_MADE;
    const session = await openSession({ name: db.name, user: 'root', socketPath: db.socket }, 2_000);
    let locked = false;
    // It waits for the applier's transaction, or comes to nothing with its server.
    session.sql(LOCKED).then(
      () => (locked = true),
      () => undefined,
    );
    return { made: async () => locked, heal: async () => session.close() };
  },
} as const satisfies Partial<Record<Kind, Strike>>;

const NETWORK_STRIKES = {
  'half-open': async (field, { level, replica }) => {
    const { bench } = field;
    const holder = await field.holder();
    const hosts = [bench.op, field.replica(replica).host, bench.other(holder).host, bench.op] as const;
    const host = hosts[level % 4] ?? bench.op;
    const isVip = level % 4 === 3 || (level % 4 === 1 && field.configuration.through === 'VIP');
    const peer = isVip ? bench.vip.host : holder.address;
    // Of the pair only the database's port, or it would be a split.
    return dropping(host, { direction: level % 8 < 4 ? 'in' : 'out', peer, port: bench.vip.port });
  },
  'packet-loss': async (field, { level, replica }) => {
    const { bench } = field;
    const hosts: readonly Host[] = [bench.op, field.replica(replica).host, (await field.holder()).host];
    const host = hosts[level % 3] ?? bench.op;
    const percent = LEAST_LOSS + (level % 40);
    return dropping(host, { direction: level % 2 === 0 ? 'in' : 'out', port: bench.vip.port, percent });
  },
} as const satisfies Partial<Record<Kind, Strike>>;

/** A rule that nothing met has done nothing. */
async function dropping(host: Host, traffic: Traffic): Promise<Struck> {
  const drop = await host.drop(traffic);
  return { made: async () => (await drop.packets()) > 0, heal: drop };
}

const CONTROL_STRIKES = {
  'api-down': async ({ stage }) => {
    const ran = stage.api.state() !== 'Gone';
    await stage.api.kill();
    return { made: ran && stage.api.state() === 'Gone', heal: () => stage.api.restart() };
  },
  'api-frozen': async ({ stage }) => {
    if (stage.api.state() !== 'Running') return NOT_MADE;
    await stage.api.freeze();
    return { made: stage.api.state() === 'Frozen', heal: async () => stage.api.thaw() };
  },
  'kill-operator': async ({ supervisor }) => {
    return { made: await supervisor.kill(), heal: async () => supervisor.release() };
  },
  'freeze-operator': async ({ supervisor }) => {
    return { made: await supervisor.freeze(), heal: async () => supervisor.release() };
  },
  'publisher-down': async ({ bench, publishers }, { level }) => {
    const made = await publishers.kill(level % 2 === 0 ? bench.a : bench.b);
    return { made, heal: async () => publishers.release() };
  },
} as const satisfies Partial<Record<Kind, Strike>>;

const STRIKES: Readonly<Record<Kind, Strike>> = {
  ...PAIR_STRIKES,
  ...REPLICA_STRIKES,
  ...NETWORK_STRIKES,
  ...CONTROL_STRIKES,
};

/** What is struck or healed one at a time. */
function subjectOf(field: Field, { kind, replica }: Fault): string {
  if (kind in PAIR_STRIKES) return 'the pair';
  if (kind in REPLICA_STRIKES) return field.replica(replica).name;
  if (kind in NETWORK_STRIKES) return 'the network';
  return kind === 'publisher-down' ? 'the publishers' : kind.includes('api') ? 'the API server' : 'the operator';
}

function strikeOf({ isShared }: Field, kind: Kind): Strike {
  return (isShared ? SHARED_STRIKES[kind] : undefined) ?? STRIKES[kind];
}

/** Makes one fault; resolves with its heal. A fault that could not be made is noted, and there is nothing to heal. */
export async function strike(field: Field, fault: Fault): Promise<Heal> {
  const subject = subjectOf(field, fault);
  let struck: Struck = NOT_MADE;
  await tried(field, `strike ${fault.kind}`, subject, async () => {
    struck = await strikeOf(field, fault.kind)(field, fault);
    if (struck.made === true) madeIt(field, fault);
  });
  return () =>
    tried(field, `heal ${fault.kind}`, subject, async () => {
      await count(field, fault, struck);
      await struck.heal();
    });
}

/** What shows only while it lasts is looked at when it ends. */
async function count(field: Field, fault: Fault, { made }: Struck): Promise<void> {
  if (made === true) return;
  if (made !== false && (await made().catch(() => false))) madeIt(field, fault);
  else field.note(`${fault.kind} did nothing`);
}

function madeIt(field: Field, fault: Fault): void {
  field.past.made.push(fault.kind);
}

async function tried(field: Field, what: string, subject: string, work: () => Promise<void>): Promise<void> {
  try {
    await field.alone(subject, async () => {
      field.note(what);
      await work();
      field.note(`${what}: done`);
    });
  } catch (error) {
    field.past.unplanned.push(what);
    field.note(`${what} came to nothing: ${String(error).slice(0, 300)}`);
  }
}
