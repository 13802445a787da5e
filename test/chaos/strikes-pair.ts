import { setTimeout as delay } from 'node:timers/promises';
import { snapshotData } from '../support/clone.ts';
import type { TestSession } from '../support/mariadb-sql.ts';
import { openSession } from '../support/mariadb-sql.ts';
import type { Member } from '../support/member.ts';
import { until } from '../support/wait.ts';
import { serves } from './field.ts';
import type { Field } from './field.ts';
import type { Fault, Kind } from './plan.ts';

/** Undoes a fault, as far as somebody has to. */
export type Heal = () => Promise<void>;
export type Strike = (field: Field, fault: Fault) => Promise<Heal>;

const DRAIN_DEADLINE_MS = 6_000;
const MOVE_DEADLINE_MS = 8_000;
const ONE_DEADLINE_MS = 20_000;
/** What a machine loses at most, of which a fault draws a part. */
export const LOST_MS = 900;

/** Faults of the pair; one at a time is made or healed. */
export const PAIR_STRIKES = {
  'planned-move': async (field, fault) => {
    const holder = await field.holder();
    await holder.planned();
    return () => field.comesBack(holder, fault.comeback);
  },
  'drained-kill-holder': async (field, fault) => {
    const holder = await field.holder();
    await drained(field, holder);
    await kill(field, holder);
    return () => field.comesBack(holder, fault.comeback);
  },
  'kill-holder': async (field, fault) => {
    const holder = await field.holder();
    await kill(field, holder);
    return () => field.comesBack(holder, fault.comeback);
  },
  'power-off-holder': async (field, fault) => {
    const holder = await field.holder();
    field.past.restarted.add(holder.name);
    await holder.powerOff();
    return () => field.comesBack(holder, fault.comeback);
  },
  'lost-tail-holder': async (field, fault) => {
    const holder = await field.holder();
    if (!(await serves(holder))) return nothing;
    const putBack = await snapshotData(holder.db);
    await delay((LOST_MS * (fault.level + 1)) / 100);
    field.past.restarted.add(holder.name);
    field.past.lostTail.add(holder.name);
    await holder.powerOff();
    await putBack();
    return () => field.comesBack(holder, fault.comeback);
  },
  'freeze-holder': async (field, fault) => {
    const holder = await field.holder();
    if (holder.db.running) await holder.freeze();
    return async () => {
      holder.thaw();
      if (!(await holder.holdsVip())) await field.comesBack(holder, fault.comeback);
    };
  },
  'restart-holder': async (field, fault) => {
    const holder = await field.holder();
    field.past.restarted.add(holder.name);
    if (holder.db.running) await holder.db.restart();
    return async () => {
      if (!(await holder.holdsVip())) await field.comesBack(holder, fault.comeback);
    };
  },
  'isolate-holder': async (field, fault) => {
    const holder = await field.holder();
    await holder.host.cable('down');
    return async () => {
      await holder.host.cable('up');
      if (!(await holder.holdsVip())) await field.comesBack(holder, fault.comeback);
    };
  },
  'kill-standby': async (field) => {
    const standby = field.bench.other(await field.holder());
    await kill(field, standby);
    return () => field.startMember(standby);
  },
  'freeze-standby': async (field) => {
    const standby = field.bench.other(await field.holder());
    if (standby.db.running) await standby.freeze();
    return async () => standby.thaw();
  },
  'cut-vrrp': async (field, fault) => {
    const { members } = field.bench;
    field.past.split = true;
    for (const member of members) await member.cutVrrp();
    return async () => {
      for (const member of members) await member.healVrrp();
      await until('the address is at one host again', async () => (await field.bench.whoHoldsVip()).length === 1, {
        deadlineMs: ONE_DEADLINE_MS,
      });
      await field.comesBack(field.bench.other(await field.holder()), fault.comeback);
    };
  },
  'silent-vip': async (field, fault) => {
    const { a, b } = field.bench;
    await Promise.all([a.keepalived.stop(), b.keepalived.stop()]);
    const order = fault.level % 2 === 0 ? [a, b] : [b, a];
    return async () => {
      for (const member of order) await field.startMember(member);
    };
  },
  flap: async (field, fault) => {
    const moves = 2 + (fault.level % 3);
    for (let move = 0; move < moves; move += 1) await moveOn(field);
    return nothing;
  },
  'purge-holder': async (field) => {
    const { db } = await field.holder();
    if (!db.running) return nothing;
    const files = await db.sql('FLUSH BINARY LOGS; FLUSH BINARY LOGS; SHOW BINARY LOGS', [], DRAIN_DEADLINE_MS);
    await db.sql(`PURGE BINARY LOGS TO '${files.at(-1)?.['Log_name'] ?? ''}'`, [], DRAIN_DEADLINE_MS);
    return nothing;
  },
} as const satisfies Partial<Record<Kind, Strike>>;

export async function nothing(): Promise<void> {
  // There is nothing to heal.
}

async function kill(field: Field, member: Member): Promise<void> {
  field.past.restarted.add(member.name);
  await member.kill9();
}

/** Nothing is committed any more, and the standby has all that was. */
async function drained(field: Field, holder: Member): Promise<void> {
  const standby = field.bench.other(holder);
  let lock: TestSession | null = null;
  try {
    lock = await openSession({ name: holder.name, user: 'root', socketPath: holder.db.socket }, DRAIN_DEADLINE_MS);
    await lock.sql('FLUSH TABLES WITH READ LOCK', [], DRAIN_DEADLINE_MS);
    await field.bench.follows(standby.db, holder.db, DRAIN_DEADLINE_MS);
    await kill(field, holder);
  } catch (error) {
    field.past.unplanned.push(`${holder.name} died undrained`);
    field.note(`not drained: ${String(error).slice(0, 200)}`);
  } finally {
    lock?.close();
  }
}

/** A planned move, and the old holder is the standby at once. */
async function moveOn(field: Field): Promise<void> {
  const holder = await field.holder();
  const next = field.bench.other(holder);
  await holder.planned();
  await field.bench.holderIs(next, MOVE_DEADLINE_MS);
  await field.comesBack(holder, 'keep');
}
