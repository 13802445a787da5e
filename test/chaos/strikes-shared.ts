import type { Member } from '../support/member.ts';
import type { Field } from './field.ts';
import { losesTail } from './lost-tail.ts';
import type { Fault, Kind } from './plan.ts';
import type { Heal, Strike } from './struck.ts';
import { NOT_MADE } from './struck.ts';

/** What is different where a cluster manager gives one storage to one host: it starts the database where it goes to. */
export const SHARED_STRIKES: Readonly<Partial<Record<Kind, Strike>>> = {
  'planned-move': leaves(async (holder) => {
    await holder.keepalived.stop();
    await holder.db.stop();
  }),
  'kill-holder': leaves(async (holder) => {
    await holder.kill9();
    await holder.keepalived.stop();
  }),
  'power-off-holder': leaves((holder) => holder.powerOff()),
  'lost-tail-holder': async (field, fault) => {
    const holder = await field.holder();
    if (!holder.db.running) return NOT_MADE;
    const made = await losesTail(field, { holder, fault, powerOff: () => holder.powerOff() });
    return { made, heal: goesOn(field, fault, holder) };
  },
};

/** The active one ends; when it is healed the storage is at the other host, or where it was. */
function leaves(end: (holder: Member) => Promise<void>): Strike {
  return async (field: Field, fault: Fault) => {
    const holder = await field.holder();
    const ran = holder.db.running;
    await end(holder);
    return { made: ran && !holder.db.running, heal: goesOn(field, fault, holder) };
  };
}

function goesOn(field: Field, { comeback }: Fault, holder: Member): Heal {
  for (const { name } of field.bench.members) field.past.restarted.add(name);
  const next = comeback === 'bare' ? holder : field.bench.other(holder);
  return () => field.startMember(next);
}
