import type { Context } from './context.ts';
import { protect } from './protect.ts';
import type { Decision } from './verdict.ts';
import { decide } from './verdict.ts';

/** Fields of `link.filters`, and the columns of SHOW SLAVE STATUS that show what a replica has. */
const COLUMNS = {
  doDb: 'Replicate_Do_DB',
  ignoreDb: 'Replicate_Ignore_DB',
  doTable: 'Replicate_Do_Table',
  ignoreTable: 'Replicate_Ignore_Table',
  wildDoTable: 'Replicate_Wild_Do_Table',
  wildIgnoreTable: 'Replicate_Wild_Ignore_Table',
} as const;

export type Filters = Readonly<Record<keyof typeof COLUMNS, readonly string[]>>;

function isColumn(name: string): boolean {
  return Object.values<string>(COLUMNS).includes(name);
}

function namesIn(text: string): readonly string[] {
  return text.split(',').flatMap((name) => name.trim() || []);
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return [...new Set(a)].toSorted().join(',') === [...new Set(b)].toSorted().join(',');
}

/**
 * What a replica filters out its position passes over as if it had it: nothing else shows that rows are missing. So its
 * filters are those that the resource declares, or its data is not what its readers were promised.
 */
export function filtersDiffer({ replica, policy }: Context): string | null {
  const { filters } = replica.link;
  const other = Object.keys(filters).filter((name) => !isColumn(name));
  const declared = Object.entries(COLUMNS).flatMap(([field, column]) => {
    const [wanted, has] = [policy.filters[field as keyof Filters], namesIn(filters[column] ?? '')];
    return same(wanted, has)
      ? []
      : [`${column} is ${has.join(',') || 'empty'}, link.filters.${field} is ${wanted.join(',') || 'empty'}`];
  });
  const undeclarable = other.map((name) => `${name} is ${filters[name] ?? ''}, which link.filters cannot declare`);
  const differences = [...declared, ...undeclarable];
  return differences.length === 0 ? null : differences.join('; ');
}

/** Neither adopted nor moved: whether it has what the holder has cannot be told. It goes on as it is. */
export function filtered(context: Context): Decision | null {
  const differences = filtersDiffer(context);
  if (differences === null) return null;
  const message = `its replication is filtered in another way than the resource says: ${differences}. Declare its filters in link.filters, or take them away from the replica and reseed it`;
  return decide(context.replica.pod, 'Unproven', 'FiltersDiffer', message, { plan: protect(context) });
}
