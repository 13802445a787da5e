import type { Past } from './field.ts';
import type { Configuration } from './configuration.ts';
import type { Fault, Kind, Plan } from './plan.ts';
import { harmless } from './plan.ts';

const MOVES: readonly Kind[] = ['planned-move', 'drained-kill-holder'];

/**
 * Whether the drawn history was legal and without a gap: every replica then has to end Following. Only where that is beyond
 * doubt: by GTID, everybody logs what he applies, nothing is lost or purged, and everything of the pair's went as planned.
 */
export function isLegal({ configuration, faults }: Plan, past: Past): boolean {
  return (
    keepsAll(configuration) &&
    faults.every((fault) => isHarmless(fault, configuration)) &&
    !past.split &&
    past.cloned.size === 0 &&
    past.unplanned.length === 0
  );
}

/** Whether two members may have changed one row at one time: its last writer then has no order. */
export function mayBothHaveWritten({ configuration }: Plan, legal: boolean): boolean {
  return configuration.pair === 'dual' && !legal;
}

function keepsAll(configuration: Configuration): boolean {
  const { logSlaveUpdates, replicaLogSlaveUpdates, positioning, through, filter } = configuration;
  const logged = logSlaveUpdates.every((on) => on) && replicaLogSlaveUpdates;
  return (
    logged && positioning === 'Auto' && through !== 'VIP' && filter !== 'replicate-do-db' && isOrdered(configuration)
  );
}

/** One at a time is written to: by the scripts, or because there is one server only. */
function isOrdered({ pair, preempt, readOnly }: Configuration): boolean {
  return pair === 'shared' || (!preempt && readOnly);
}

/** Two primaries follow each other by themselves; a standby has to be made one again, with its data. */
function isHarmless({ kind, comeback }: Fault, configuration: Configuration): boolean {
  const isDone = !MOVES.includes(kind) || configuration.pair !== 'standby' || comeback === 'keep';
  return harmless(configuration).includes(kind) && isDone;
}
