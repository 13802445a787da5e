import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { snapshotData } from '../support/clone.ts';
import type { Member } from '../support/member.ts';
import type { Field } from './field.ts';
import type { Fault } from './plan.ts';

/** What a machine loses at most, of which a fault draws a part. */
const LOST_MS = 900;

interface Loss {
  readonly holder: Member;
  readonly fault: Fault;
  readonly powerOff: () => Promise<void>;
}

/** The machine loses its power and the last of what it wrote. Whether it had written anything in that time. */
export async function losesTail(field: Field, { holder, fault, powerOff }: Loss): Promise<boolean> {
  const putBack = await snapshotData(holder.db);
  await delay((LOST_MS * (fault.level + 1)) / 100);
  await powerOff();
  const logged = binlogBytes(holder.db.datadir);
  await putBack();
  const made = binlogBytes(holder.db.datadir) < logged;
  if (made) field.past.lostTail.add(holder.name);
  return made;
}

function binlogBytes(datadir: string): number {
  const files = readdirSync(datadir).filter((name) => /-bin\.\d+$/.test(name) && !name.includes('-relay-'));
  return files.reduce((sum, name) => sum + statSync(join(datadir, name)).size, 0);
}
