import type { Gtid, GtidState } from './gtid.ts';
import { formatGtid, seqIn } from './gtid.ts';

/** Which transactions of one server the other side lacks: what reads them from that server's binlog goes by this. */
export type Unique = Beyond | Differing;

/** Told by numbers. */
export interface Beyond {
  readonly kind: 'Beyond';
  readonly ranges: readonly Range[];
}

/** Those of one domain and server id after `after`; `through` is the last one that was seen. */
export interface Range {
  readonly domain: number;
  readonly serverId: number;
  readonly after: bigint;
  readonly through: bigint;
}

/** Told by content: numbers were given twice, and this is one that is not the same on that member. */
export interface Differing {
  readonly kind: 'Differing';
  readonly member: string;
  readonly gtid: Gtid;
}

/** Of a server that `than` does not name, all; unless `than` is a position, which names only the last one of each domain. */
export function beyondOf(gtids: readonly Gtid[], than: GtidState, form: 'State' | 'Position' = 'State'): Beyond {
  const ranges = gtids.map((gtid) => {
    const { domain, serverId, seq } = gtid;
    const otherwise = form === 'State' ? 0n : highestBefore(gtid, than);
    return { domain, serverId, after: seqIn(than, gtid) ?? otherwise, through: seq };
  });
  return { kind: 'Beyond', ranges };
}

/** A server counts on from what it applied; one that wrote under lower numbers did so beside the others, from its first on. */
function highestBefore({ domain, seq }: Gtid, than: GtidState): bigint {
  const highest = [...(than.get(domain)?.values() ?? [])].reduce((most, one) => (one > most ? one : most), 0n);
  return highest < seq ? highest : 0n;
}

/** What names them as long as only more of them are written. */
export function basisOf(unique: Unique): string {
  if (unique.kind === 'Differing') return `${formatGtid(unique.gtid)} on ${unique.member}`;
  return unique.ranges.map(({ domain, serverId, after }) => `${domain}-${serverId}>${after}`).join();
}
