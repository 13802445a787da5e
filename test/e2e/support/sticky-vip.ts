import type { Bench } from '../../support/bench.ts';
import type { Member } from '../../support/member.ts';
import type { Host } from '../../support/net.ts';

/**
 * From now on new connections of these hosts to the VIP end on this member; those that stand go on where they began. Load
 * balancers and translated addresses do that, and a flap that is over before a session has missed anything.
 */
export async function leadVip({ tools, vip }: Bench, hosts: readonly Host[], to: Member): Promise<void> {
  const chain = 'ip sticky lead';
  const table = 'table ip sticky { chain lead { type nat hook output priority -100; }\n}';
  const rule = `add rule ${chain} ip daddr ${vip.host} dnat to ${to.address}`;
  // In one transaction: no connection meets the time between two rules.
  const text = `${table}\nflush chain ${chain}\n${rule}\n`;
  await Promise.all(hosts.map((host) => host.exec([tools.nft, text])));
}
