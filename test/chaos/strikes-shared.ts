import { setTimeout as delay } from 'node:timers/promises';
import { snapshotData } from '../support/clone.ts';
import type { Member } from '../support/member.ts';
import type { Field } from './field.ts';
import type { Fault, Kind } from './plan.ts';
import { LOST_MS, nothing } from './strikes-pair.ts';
import type { Strike } from './strikes-pair.ts';

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
    if (!holder.db.running) return nothing;
    const putBack = await snapshotData(holder.db);
    await delay((LOST_MS * (fault.level + 1)) / 100);
    const heal = await leaves((member) => member.powerOff())(field, fault);
    field.past.lostTail.add(holder.name);
    await putBack();
    return heal;
  },
};

/** The active one ends; when it is healed the storage is at the other host, or where it was. */
function leaves(end: (holder: Member) => Promise<void>): Strike {
  return async (field: Field, fault: Fault) => {
    const holder = await field.holder();
    for (const { name } of field.bench.members) field.past.restarted.add(name);
    await end(holder);
    const next = fault.comeback === 'bare' ? holder : field.bench.other(holder);
    return () => field.startMember(next);
  };
}
