import { isFrozen } from '../support/freeze.ts';
import type { TestSession } from '../support/mariadb-sql.ts';
import { openSession } from '../support/mariadb-sql.ts';
import type { Member } from '../support/member.ts';
import { until } from '../support/wait.ts';
import { serves } from './field.ts';
import type { Field } from './field.ts';
import { losesTail } from './lost-tail.ts';
import type { Kind } from './plan.ts';
import { purgeHolder } from './purge.ts';
import type { Strike } from './struck.ts';
import { NOT_MADE, nothing } from './struck.ts';

const DRAIN_DEADLINE_MS = 6_000;
const MOVE_DEADLINE_MS = 8_000;
const ONE_DEADLINE_MS = 20_000;
const WATCH_MS = 250;

/** Faults of the pair; one at a time is made or healed. */
export const PAIR_STRIKES = {
  'planned-move': async (field, fault) => {
    const holder = await field.holder();
    const had = await holder.holdsVip();
    await holder.planned();
    return { made: had && !(await holder.holdsVip()), heal: () => field.comesBack(holder, fault.comeback) };
  },
  'drained-kill-holder': async (field, fault) => {
    const holder = await field.holder();
    return { made: await drainedKill(field, holder), heal: () => field.comesBack(holder, fault.comeback) };
  },
  'kill-holder': async (field, fault) => {
    const holder = await field.holder();
    return { made: await kill(field, holder), heal: () => field.comesBack(holder, fault.comeback) };
  },
  'power-off-holder': async (field, fault) => {
    const holder = await field.holder();
    const ran = holder.db.running;
    if (ran) field.past.restarted.add(holder.name);
    await holder.powerOff();
    return { made: ran, heal: () => field.comesBack(holder, fault.comeback) };
  },
  'lost-tail-holder': async (field, fault) => {
    const holder = await field.holder();
    if (!(await serves(holder))) return NOT_MADE;
    field.past.restarted.add(holder.name);
    const made = await losesTail(field, { holder, fault, powerOff: () => holder.powerOff() });
    return { made, heal: () => field.comesBack(holder, fault.comeback) };
  },
  'freeze-holder': async (field, fault) => {
    const holder = await field.holder();
    return {
      made: await freeze(holder),
      heal: async () => {
        holder.thaw();
        if (!(await holder.holdsVip())) await field.comesBack(holder, fault.comeback);
      },
    };
  },
  'restart-holder': async (field, fault) => {
    const holder = await field.holder();
    const ran = holder.db.running;
    if (ran) {
      field.past.restarted.add(holder.name);
      await holder.db.restart();
    }
    return {
      made: ran,
      heal: async () => {
        if (!(await holder.holdsVip())) await field.comesBack(holder, fault.comeback);
      },
    };
  },
  'isolate-holder': async (field, fault) => {
    const holder = await field.holder();
    const isHeard = (holder.db.running || holder.keepalived.running) && (await holder.host.hasCarrier());
    await holder.host.cable('down');
    return {
      made: isHeard && !(await holder.host.hasCarrier()),
      heal: async () => {
        await holder.host.cable('up');
        if (!(await holder.holdsVip())) await field.comesBack(holder, fault.comeback);
      },
    };
  },
  'kill-standby': async (field) => {
    const standby = field.bench.other(await field.holder());
    return { made: await kill(field, standby), heal: () => field.startMember(standby) };
  },
  'freeze-standby': async (field) => {
    const standby = field.bench.other(await field.holder());
    return { made: await freeze(standby), heal: async () => standby.thaw() };
  },
  'cut-vrrp': async (field, fault) => {
    const { members } = field.bench;
    const sent = members.some(({ keepalived }) => keepalived.running);
    field.past.split ||= sent;
    for (const member of members) await member.cutVrrp();
    const watch = setInterval(() => void field.whoHoldsVip().catch(() => undefined), WATCH_MS);
    return {
      made: async () => (await Promise.all(members.map((member) => member.missedAdverts()))).some((count) => count > 0),
      heal: async () => {
        clearInterval(watch);
        await field.whoHoldsVip();
        for (const member of members) await member.healVrrp();
        await until('the address is at one host again', async () => (await field.whoHoldsVip()).length === 1, {
          deadlineMs: ONE_DEADLINE_MS,
        });
        await field.comesBack(field.bench.other(await field.holder()), fault.comeback);
      },
    };
  },
  'silent-vip': async (field, fault) => {
    const { a, b } = field.bench;
    const answered = (await field.bench.whoHoldsVip()).length > 0;
    await Promise.all([a.keepalived.stop(), b.keepalived.stop()]);
    const order = fault.level % 2 === 0 ? [a, b] : [b, a];
    return {
      made: answered && (await field.bench.whoHoldsVip()).length === 0,
      heal: async () => {
        for (const member of order) await field.startMember(member);
      },
    };
  },
  flap: async (field, fault) => {
    const moves = 2 + (fault.level % 3);
    for (let move = 0; move < moves; move += 1) await moveOn(field);
    return { made: true, heal: nothing };
  },
  'purge-holder': purgeHolder,
} as const satisfies Partial<Record<Kind, Strike>>;

/** Whether it ran. */
async function kill(field: Field, member: Member): Promise<boolean> {
  const ran = member.db.running;
  if (ran) field.past.restarted.add(member.name);
  await member.kill9();
  return ran;
}

/** Whether it stands still now. */
async function freeze({ db }: Member): Promise<boolean> {
  if (!db.running) return false;
  await db.freeze();
  return isFrozen(db.pid);
}

/** Nothing is committed any more, and the standby has all that was. Whether it died so. */
async function drainedKill(field: Field, holder: Member): Promise<boolean> {
  const standby = field.bench.other(holder);
  let lock: TestSession | null = null;
  try {
    lock = await openSession({ name: holder.name, user: 'root', socketPath: holder.db.socket }, DRAIN_DEADLINE_MS);
    await lock.sql('FLUSH TABLES WITH READ LOCK', [], DRAIN_DEADLINE_MS);
    await field.bench.follows(standby.db, holder.db, DRAIN_DEADLINE_MS);
    return await kill(field, holder);
  } catch (error) {
    field.past.unplanned.push(`${holder.name} died undrained`);
    field.note(`not drained: ${String(error).slice(0, 200)}`);
    return false;
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
