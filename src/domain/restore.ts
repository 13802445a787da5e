import type { Context } from './context.ts';
import { dialsVip } from './context.ts';
import type { Holder } from './holder.ts';
import { isLifeOf } from './intent.ts';
import type { Plan } from './plan.ts';
import { planRestore } from './plan.ts';
import type { ReplicaFacts } from './replica.ts';
import type { Decision } from './verdict.ts';
import { decide } from './verdict.ts';

/**
 * An adoption that stopped the link and went no further, because it was refused or because mxr died: as long as nothing
 * but our own STOP happened, and the same life of the same server holds the VIP, the link goes on at the very place.
 */
export function restore(context: Context, replica: ReplicaFacts, holder: Holder): Decision | null {
  const intent = context.intended.get(replica.pod);
  const { link, pod } = replica;
  if (intent?.member !== holder.member.name || !isLifeOf(context.memory, intent)) return null;
  if (link.io !== 'No' || link.ioErrno !== 0 || link.sqlErrno !== 0 || link.exec.file === '') return null;
  // Both stopped, by GTID: a start deletes the relay log. Our own STOP came after everything was applied.
  if (link.sql === 'No' && link.usingGtid !== 'No' && !replica.drained) return null;
  const throughVip = dialsVip(replica, context.policy);
  if (!throughVip && (link.host !== holder.member.host || link.port !== holder.member.port)) return null;
  const message = `its adoption went no further: its link goes on where mxr stopped it, at ${link.exec.file}:${link.exec.position}`;
  return decide(pod, 'Unproven', 'NotAdopted', message, { plan: planOf(replica, holder, throughVip) });
}

function planOf(replica: ReplicaFacts, { member }: Holder, throughVip: boolean): Plan {
  const { link, pod, position, received, contains } = replica;
  return planRestore({
    pod,
    target: { member: member.name, host: link.host, port: link.port, through: throughVip ? 'VIP' : 'Member' },
    proven: {
      kind: 'Proven',
      proof: 'SameServer',
      gtid: position,
      at: link.exec,
      contains,
      because: `nothing but our own STOP has happened, and ${member.name} is the server it replicated from`,
    },
    received,
  });
}

/** A refused adoption would stop the link again each time it is tried. */
const TRY_AGAIN_MS = 600_000;

export function refusedBefore({ observation }: Context, { memory, pod }: ReplicaFacts): Decision | null {
  const refusal = memory.adoptionRefused;
  if (refusal === null || observation.wallNow - refusal.at >= TRY_AGAIN_MS) return null;
  const message = `its adoption was refused, and it runs on as it was: ${refusal.message}. Compare its data with the source; then set its position right (CHANGE MASTER, or gtid_slave_pos) or reseed it. It is tried again ten minutes later`;
  return decide(pod, 'Unproven', 'WitnessesDisagree', message);
}
