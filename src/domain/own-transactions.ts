import { ownTransactionsOf } from './audit-standby.ts';
import type { Gtid, GtidState } from './gtid.ts';
import { formatGtid } from './gtid.ts';
import type { MemberMemory } from './memory.ts';
import { stateOfServer } from './memory.ts';
import type { MemberObservation, Observation } from './observation.ts';
import type { Transactions } from './proof.ts';
import type { Split } from './split.ts';
import { ownSince } from './split.ts';
import { beyondOf } from './unique-transactions.ts';

export interface OwnInput {
  readonly observed: MemberObservation;
  /** The member that holds the VIP; undefined when that is not known. */
  readonly holder: MemberObservation | undefined;
  readonly memory: MemberMemory | undefined;
  readonly observation: Pick<Observation, 'now' | 'wallNow'>;
  /** A split that is not resolved. */
  readonly split: Split | null;
}

/** Of a member without the VIP: what the holder lacks. Of the holder: what it wrote since the pair was split. */
export function ownTransactions(input: OwnInput): Transactions | null {
  const { observed, holder, split } = input;
  if (holder === undefined) return null;
  if (holder.name !== observed.name) return listed(ownTransactionsOf(holder, observed, input), stateOfHolder(holder));
  return split === null ? null : listed(ownSince(split, observed), split.sides.get(observed.name));
}

function stateOfHolder({ look }: MemberObservation): GtidState | undefined {
  return look.known ? stateOfServer(look.value) : undefined;
}

/** Until they are read, the last one of each domain. */
function listed(gtids: readonly Gtid[], than: GtidState | undefined): Transactions | null {
  if (gtids.length === 0 || than === undefined) return null;
  return { count: null, gtids: gtids.map(formatGtid), unique: beyondOf(gtids, than) };
}
