import type { Replica } from '../support/bench.ts';
import type { MariaDbServer } from '../support/mariadb.ts';
import type { Member } from '../support/member.ts';
import { until } from '../support/wait.ts';
import { serves } from './field.ts';
import type { Field } from './field.ts';
import type { Fault } from './plan.ts';
import type { Heal, Struck } from './struck.ts';
import { NOT_MADE, nothing } from './struck.ts';

const DEADLINE_MS = 6_000;
const ASK_MS = 2_000;

/**
 * While one replica is away the holder logs on, and then purges all of that: what was missed is nowhere to be had any more.
 * The standby has it before, as a careful administrator sees to.
 */
export async function purgeHolder(field: Field, fault: Fault): Promise<Struck> {
  const holder = await servingHolder(field).catch(() => undefined);
  if (holder === undefined) return NOT_MADE;
  const back = await goesAway(field, fault, holder);
  const made = await purged(field, holder).catch((error: unknown) => {
    field.note(`nothing was purged: ${String(error).slice(0, 200)}`);
    return false;
  });
  return { made, heal: back };
}

/** Who takes over from one that has just died is waited for; on a shared storage nobody does before that is healed. */
async function servingHolder(field: Field): Promise<Member> {
  const find = async (): Promise<Member | undefined> => {
    const holder = await field.holder();
    return (await serves(holder)) ? holder : undefined;
  };
  return until('somebody can purge', find, { deadlineMs: field.isShared ? 0 : DEADLINE_MS });
}

/** A replica that is dead already, or one that dies now, or that does not reach the holder any more. */
async function goesAway(field: Field, { replica: index, level }: Fault, holder: Member): Promise<Heal> {
  const { replicas } = field.bench;
  if (replicas.some(({ db }) => !db.running)) return nothing;
  const replica = field.replica(index);
  let back: Heal = nothing;
  await field.alone(replica.name, async () => {
    back = level % 2 === 0 ? await dies(field, replica) : await isCutOff(field, replica, holder);
  });
  return () => field.alone(replica.name, back);
}

async function dies(field: Field, { db, name }: Replica): Promise<Heal> {
  field.past.restarted.add(name);
  await db.kill9();
  return async () => {
    if (!db.running) await db.start();
  };
}

/** The holder gives the connection up: what it had sent comes when the network is whole again, the rest does not. */
async function isCutOff(field: Field, { host }: Replica, { address, db }: Member): Promise<Heal> {
  const peers = [address, field.bench.vip.host];
  const drops = await Promise.all(peers.map((peer) => host.drop({ direction: 'in', peer, port: db.port })));
  const text = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%' AND host LIKE ?";
  for (const { id } of await db.sql(text, [`${host.address}:%`], ASK_MS)) {
    // It may have ended meanwhile.
    await db.sql(`KILL ${id}`, [], ASK_MS).catch(() => undefined);
  }
  return async () => {
    for (const heal of drops) await heal();
  };
}

/** Whether every file went that was there before: a server keeps those that a dump thread still reads. */
async function purged(field: Field, holder: Member): Promise<boolean> {
  const { db } = holder;
  await logsOn(db);
  const before = await filesOf(db, 'FLUSH BINARY LOGS; SHOW BINARY LOGS');
  const newest = before.at(-1) ?? '';
  await logsOn(db);
  if (!field.isShared) await field.bench.follows(field.bench.other(holder).db, db, DEADLINE_MS);
  return until(
    `${holder.name} has purged all before ${newest}`,
    async () => {
      const [oldest] = await filesOf(db, `PURGE BINARY LOGS TO '${newest}'; SHOW BINARY LOGS`);
      return oldest === newest;
    },
    { deadlineMs: DEADLINE_MS, intervalMs: 100 },
  );
}

async function filesOf(db: MariaDbServer, text: string): Promise<string[]> {
  return (await db.sql(text, [], ASK_MS)).map((row) => row['Log_name'] ?? '');
}

/** Resolves when the application has written again. */
async function logsOn(db: MariaDbServer): Promise<void> {
  const end = async (): Promise<string> => JSON.stringify(await db.sql('SHOW MASTER STATUS', [], ASK_MS));
  const before = await end();
  await until(`${db.name} logs on`, async () => (await end()) !== before, { deadlineMs: DEADLINE_MS });
}
