import type { Bench, BenchOptions } from '../../support/bench.ts';
import type { Member } from '../../support/member.ts';

/** One data directory for both hosts, of which only one runs a server; keepalived does not watch that. */
export const SHARED = { shared: true, readOnly: false, fall: 10_000 } as const satisfies BenchOptions;

/** kill -9 of the database of the active host; the other one has the storage then. */
export async function takesOver(bench: Bench, from: Member, to: Member): Promise<void> {
  await from.kill9();
  await from.keepalived.stop();
  await startsOn(bench, to);
}

export async function startsOn(bench: Bench, member: Member): Promise<void> {
  if (!member.db.running) await member.db.start();
  if (!member.keepalived.running) await member.keepalived.start();
  await bench.holderIs(member);
}
