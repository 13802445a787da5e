import type { WalkedTransaction } from './evidence.ts';
import type { Gtid } from './gtid.ts';
import { formatGtid, formatPosition, sameGtid, stateHas } from './gtid.ts';
import type { Coordinates } from './observation.ts';
import { compareCoordinates } from './observation.ts';
import { shortHash } from './plan.ts';
import type { ProofInput, Refused } from './proof.ts';
import { refused } from './proof.ts';

/** Where a replica would go on in the target's binlog. */
export interface Resume {
  readonly kind: 'Resume';
  readonly at: Coordinates;
  readonly next: Gtid | null;
  readonly how: string;
  /** The last of each domain that the replica has behind something that it lacks. */
  readonly among: readonly Gtid[];
}

/**
 * The replica must be a prefix of the target's binlog in each domain: MariaDB goes on in each domain at its own place, and
 * what lies before that place never comes. What it has of one domain behind what it lacks of another was applied in
 * another order: that ends with the same rows only where the two never touch the same ones.
 */
export function prefixOf(input: ProofInput, walked: readonly WalkedTransaction[], end: Coordinates): Resume | Refused {
  const has = ({ gtid }: WalkedTransaction) => stateHas(input.replica.contains, gtid);
  const first = walked.findIndex((one) => !has(one));
  const next = walked[first];
  if (next === undefined) return { kind: 'Resume', at: end, next: null, how: 'read to its end', among: [] };
  const mixed = walked.slice(first, walked.findLastIndex(has) + 1);
  const had = mixed.filter(has);
  const lacked = mixed.filter((one) => !has(one));
  const among = new Map(had.map((one) => [one.gtid.domain, one]));
  const isPassed = (one: WalkedTransaction) => {
    const place = among.get(one.gtid.domain);
    return place !== undefined && compareCoordinates(one.at, place.at) < 0;
  };
  const passed = lacked.filter(isPassed);
  if (passed.length > 0) return neverSent(input, passed);
  const order = had.length === 0 ? null : otherOrder(input, lacked, had);
  if (order !== null) return order;
  const how = had.length === 0 ? `${first} common transactions read` : 'each GTID domain at its own place';
  return { kind: 'Resume', at: next.at, next: next.gtid, how, among: [...among.values()].map(({ gtid }) => gtid) };
}

function neverSent({ replica, holder }: ProofInput, passed: readonly WalkedTransaction[]): Refused {
  const gtids = passed.map(({ gtid }) => formatGtid(gtid));
  const message = `${holder.member.name} logged ${shown(gtids)} before transactions that ${replica.pod} already has: a replica that attaches would never get them. Find out what they are (an errant write on the standby?), then reseed the replica`;
  return refused('Unproven', 'NotPrefix', message, { count: gtids.length, gtids });
}

/** Null: the rows that the one changed are of other tables than those of the other, or a person compared them. */
function otherOrder(
  input: ProofInput,
  lacked: readonly WalkedTransaction[],
  had: readonly WalkedTransaction[],
): Refused | null {
  const { replica, baseline, holder, approved } = input;
  const [there, here] = [tablesOf(lacked), tablesOf(had)];
  const both = there === null || here === null ? null : [...there].filter((table) => here.has(table)).sort();
  if (both?.length === 0) return null;
  const { name } = holder.member;
  const last = had.at(-1)?.gtid;
  const id = `order-${shortHash([name, last === undefined ? '' : formatGtid(last), ...(both ?? [])].join('|'))}`;
  if (approved.has(id)) return null;
  const gtids = lacked.map(({ gtid }) => formatGtid(gtid));
  const which = both === null ? 'not all of it is logged as rows, so any table may be' : shown(both);
  // The id comes before what may be long: messages are cut.
  const message = `${replica.pod} has ${range(had)}, which ${name} applied after ${range(lacked)}, which ${replica.pod} lacks. These are two GTID domains, so ${name} would send all that is missing, but a row that both changed would end on ${replica.pod} as on ${baseline.member}, and nothing would say so. Compare the members (CHECKSUM TABLE). Where they are equal: kubectl annotate mxr/<name> mxr.dev/approve=${id}; else put them right and reseed ${replica.pod}. Concerned: ${which}`;
  return refused('Unproven', 'OrderDiffers', message, { count: gtids.length, gtids });
}

/** Null: something is not logged as rows, so nobody can say what it touched. */
function tablesOf(transactions: readonly WalkedTransaction[]): ReadonlySet<string> | null {
  const all = transactions.map(({ tables }) => tables);
  return all.includes(null) ? null : new Set(all.flatMap((tables) => tables ?? []));
}

/**
 * In a domain the target goes on behind the replica's position: where that is not the last which the replica has, something
 * would come twice.
 */
export function comesTwice({ replica, holder }: ProofInput, among: readonly Gtid[]): Refused | null {
  const other = among.find((gtid) => !sameGtid(gtid, replica.position.get(gtid.domain)));
  if (other === undefined) return null;
  const message = `${holder.member.name} would go on in the GTID domain ${other.domain} at the position ${formatPosition(replica.position)} of ${replica.pod}, which has ${formatGtid(other)} already: that would come twice. Reseed ${replica.pod}`;
  return refused('Unproven', 'OrderDiffers', message, { count: null, gtids: [formatGtid(other)] });
}

function range(transactions: readonly WalkedTransaction[]): string {
  const [first, last] = [transactions[0], transactions.at(-1)].map((one) =>
    one === undefined ? '' : formatGtid(one.gtid),
  );
  return first === last ? (first ?? '') : `${first} to ${last} (${transactions.length})`;
}

function shown(names: readonly string[]): string {
  const cut = names.slice(0, 10).join(', ');
  return names.length > 10 ? `${cut} and ${names.length - 10} more` : cut;
}
