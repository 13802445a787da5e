import type { Host } from '../support/net.ts';
import { openSession } from '../support/mariadb-sql.ts';
import type { Field } from './field.ts';
import type { Fault, Kind } from './plan.ts';
import { PAIR_STRIKES, nothing } from './strikes-pair.ts';
import type { Heal, Strike } from './strikes-pair.ts';
import { SHARED_STRIKES } from './strikes-shared.ts';

const LOCKED = 'LOCK TABLES app.plain READ, app.auto READ, app.hot READ, app.firsts READ';
const LEAST_LOSS = 15;

const REPLICA_STRIKES = {
  'kill-replica': async (field, fault) => {
    const { db, name } = field.replica(fault.replica);
    field.past.restarted.add(name);
    await db.kill9();
    return async () => {
      if (!db.running) await db.start();
    };
  },
  'restart-replica': async (field, fault) => {
    const { db, name } = field.replica(fault.replica);
    field.past.restarted.add(name);
    await db.restart();
    return nothing;
  },
  'freeze-replica': async (field, fault) => {
    const { db } = field.replica(fault.replica);
    if (db.running) await db.freeze();
    return async () => db.thaw();
  },
  'lock-replica': async (field, fault) => {
    const { db } = field.replica(fault.replica);
    if (!db.running) return nothing;
    const session = await openSession({ name: db.name, user: 'root', socketPath: db.socket }, 2_000);
    // It waits for the applier's transaction, or comes to nothing with its server.
    session.sql(LOCKED).catch(() => undefined);
    return async () => session.close();
  },
} as const satisfies Partial<Record<Kind, Strike>>;

const NETWORK_STRIKES = {
  'half-open': async (field, { level, replica }) => {
    const { bench } = field;
    const holder = await field.holder();
    const hosts = [bench.op, field.replica(replica).host, bench.other(holder).host, bench.op] as const;
    const host = hosts[level % 4] ?? bench.op;
    const peer = level % 4 === 3 ? bench.vip.host : holder.address;
    // Of the pair only the database's port, or it would be a split.
    return host.drop({ direction: level % 8 < 4 ? 'in' : 'out', peer, port: bench.vip.port });
  },
  'packet-loss': async (field, { level, replica }) => {
    const { bench } = field;
    const hosts: readonly Host[] = [bench.op, field.replica(replica).host, (await field.holder()).host];
    const host = hosts[level % 3] ?? bench.op;
    const percent = LEAST_LOSS + (level % 40);
    return host.drop({ direction: level % 2 === 0 ? 'in' : 'out', port: bench.vip.port, percent });
  },
} as const satisfies Partial<Record<Kind, Strike>>;

const CONTROL_STRIKES = {
  'api-down': async ({ stage }) => {
    await stage.api.kill();
    return () => stage.api.restart();
  },
  'api-frozen': async ({ stage }) => {
    await stage.api.freeze();
    return async () => stage.api.thaw();
  },
  'kill-operator': async ({ supervisor }) => {
    await supervisor.kill();
    return async () => supervisor.release();
  },
  'freeze-operator': async ({ supervisor }) => {
    await supervisor.freeze();
    return async () => supervisor.release();
  },
  'publisher-down': async ({ bench, publishers }, { level }) => {
    await publishers.kill(level % 2 === 0 ? bench.a : bench.b);
    return async () => publishers.release();
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
  let heal: Heal = nothing;
  await tried(field, `strike ${fault.kind}`, subject, async () => {
    heal = await strikeOf(field, fault.kind)(field, fault);
  });
  return () => tried(field, `heal ${fault.kind}`, subject, heal);
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
