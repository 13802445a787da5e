import { formatPosition, samePosition } from './gtid.ts';
import type { ProofInput, Refused } from './proof.ts';
import { refused } from './proof.ts';

/**
 * A link that dials the VIP can end on the new holder by MariaDB's own reconnect, before mxr has stopped it and without any
 * proof. What the replica shows from then on is the new holder's word about itself.
 */
export function attachedItself({ baseline, holder, target, replica, source, viaVip }: ProofInput): boolean {
  const there = target.identity.serverId;
  if (baseline.member === holder.member.name || source === undefined) return false;
  // With equal ids nothing tells on whom a link that dials the VIP ended.
  return replica.link.sourceServerId === there && (source.identity.serverId !== there || viaVip);
}

/** By file its coordinates are those of the server that its link names: somebody has made them, not a proof. */
export function pointedByHand({ replica, baseline, holder }: ProofInput): Refused | null {
  const { link, pod } = replica;
  const { name, host, port } = holder.member;
  if (link.usingGtid !== 'No' || baseline.member === name || link.host !== host || link.port !== port) return null;
  const message = `the link of ${pod} was pointed at ${name} with ${link.exec.file}:${link.exec.position}, and mxr has not proven that place: it was proven at ${formatPosition(baseline.gtid)} on ${baseline.member}. Point it at ${baseline.member} again with the coordinates that it had there, or reseed it`;
  return refused('Unproven', 'IntentMismatch', message);
}

/** By file and offset it asked for coordinates of the old holder, and its position was overwritten from the new one. */
export function strayedByFile(input: ProofInput): Refused | null {
  const { replica, baseline, holder } = input;
  if (replica.link.usingGtid !== 'No' || !attachedItself(input)) return null;
  if (samePosition(replica.position, baseline.gtid)) return null;
  const message = `${replica.pod} connected to ${holder.member.name} by itself, with coordinates of ${baseline.member}: its position ${formatPosition(replica.position)} is what ${holder.member.name} made of them, it was proven at ${formatPosition(baseline.gtid)}. Reseed it, and let its link dial the member or go by GTID`;
  return refused('Unproven', 'WitnessesDisagree', message);
}
