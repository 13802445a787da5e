import type * as api from '../api/status.ts';
import { formatState, parseState } from '../domain/gtid.ts';
import type { Split } from '../domain/split.ts';
import { iso } from './status-parts.ts';

/** An unresolved split outlasts the process that saw it. */
export function splitStatus(split: Split | null): api.Split | null {
  if (split === null) return null;
  const { id, since, endedAt, sides } = split;
  return {
    id,
    since: iso(since),
    ...(endedAt === null ? {} : { endedAt: iso(endedAt) }),
    sides: [...sides].map(([member, state]) => ({ member, gtidBinlogState: formatState(state) })),
  };
}

/** A side that cannot be read is forgotten: then nobody knows what it had, and only a person ends the split. */
export function splitFromStatus(status: api.Split | undefined): Split | null {
  if (status === undefined) return null;
  const sides = status.sides.flatMap(({ member, gtidBinlogState }) => {
    const state = parseState(gtidBinlogState);
    return state === undefined ? [] : [[member, state] as const];
  });
  const endedAt = status.endedAt === undefined ? null : Date.parse(status.endedAt);
  return { id: status.id, since: Date.parse(status.since), endedAt, sides: new Map(sides) };
}
