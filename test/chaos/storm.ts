import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../support/wait.ts';
import type { Member } from '../support/member.ts';
import type { Writer } from '../support/writer.ts';
import { serves } from './field.ts';
import type { Field } from './field.ts';
import type { Plan } from './plan.ts';
import { faultText } from './plan.ts';
import { strike } from './strikes.ts';

const ALONE_DEADLINE_MS = 45_000;
const STUCK_MS = 6_000;
const AFTERWARDS = 20;

/** Makes every fault at its moment and heals each after its time; resolves when the last is healed. */
export async function storm(field: Field, plan: Plan): Promise<void> {
  const heals: Promise<void>[] = [];
  for (const fault of plan.faults) {
    // The moment is what is drawn here; nothing is waited for.
    await delay(fault.gapMs);
    field.note(`due: ${faultText(fault)}`);
    const struck = strike(field, fault);
    heals.push(
      struck.then(async (heal) => {
        await delay(fault.forMs);
        await heal();
      }),
    );
  }
  await Promise.all(heals);
}

/** Everything runs again that mxr does not start itself, and the pair has one holder that is written to. */
export async function calmDown(field: Field, writer: Writer): Promise<Member> {
  const { bench, stage, supervisor } = field;
  // What follows it may call this: the operator is let go at once.
  supervisor.release();
  field.publishers.release();
  stage.api.thaw();
  await stage.status().catch(async () => stage.api.restart());
  await Promise.all(
    bench.replicas.map(async ({ db }) => {
      db.thaw();
      if (!db.running) await db.start();
    }),
  );
  for (const member of bench.members) {
    await member.healVrrp();
    await startOrClone(field, member);
  }
  const holder = await oneHolder(field);
  field.note(`calm: ${holder.name} holds the VIP`);
  await writer.writes(AFTERWARDS, holder.name);
  return holder;
}

async function startOrClone(field: Field, member: Member): Promise<void> {
  try {
    await field.startMember(member);
  } catch (error) {
    field.note(`${member.name} does not start: ${String(error).slice(0, 300)}`);
    // There is nobody to copy from.
    if (field.isShared) throw error;
    field.past.unplanned.push(`${member.name} had to be cloned`);
    field.past.cloned.add(member.name);
    await field.bench.rejoin(member, 'clone');
  }
}

/** A person opens a holder that stays read-only: keepalived tells a server that restarted in place nothing. */
async function oneHolder(field: Field): Promise<Member> {
  const { bench } = field;
  const begun = performance.now();
  return until(
    'one member holds the VIP and is writable',
    async () => {
      const [holder, ...others] = await field.whoHoldsVip();
      if (holder === undefined || others.length > 0) return undefined;
      // It takes the address back as soon as it can.
      if (field.configuration.preempt && holder !== bench.a) return undefined;
      if (await serves(holder)) return holder;
      if (performance.now() - begun > STUCK_MS) {
        field.note(`a person opens ${holder.name}`);
        field.past.unplanned.push(`${holder.name} was opened by hand`);
        await holder.db.sql('SET GLOBAL read_only = 0', [], STUCK_MS);
      }
      return undefined;
    },
    { deadlineMs: ALONE_DEADLINE_MS, intervalMs: 200 },
  );
}
