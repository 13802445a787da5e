import type { Bench, BenchOptions } from '../../support/bench.ts';
import type { Member } from '../../support/member.ts';

/**
 * DRBD + heartbeat + VIP: one data directory, mounted by whoever is active. keepalived watches something else than the
 * database (`fall` is never reached), and who moves the VIP starts the database on the other host, as a cluster manager does.
 */
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
