import type { Gtid } from './gtid.ts';
import { formatPosition, isWithin, mergeStates, stateOf, stateOfPosition } from './gtid.ts';
import type { Holder } from './holder.ts';
import { binlogStateOf } from './memory.ts';
import type { Link, ServerLook } from './observation.ts';
import { compareCoordinates } from './observation.ts';

/** A holder's link to a member of which it lacks something: since when nothing has come over it. */
export interface Stalled {
  /** Monotonic ms of the picture in which it was first seen so. */
  readonly since: number;
  /** What had been received then. */
  readonly place: string;
}

/** What a member has logged itself. */
export interface Written {
  readonly look: ServerLook;
  readonly own: readonly Gtid[];
}

/** So long something that a running link has not brought yet may be on its way. */
const ON_ITS_WAY_MS = 1_500;

/**
 * Whether an lsu=1 holder takes in what another member writes: then it is no sign of a split. That the threads of its link
 * run says little: over a half-open connection they run until slave_net_timeout (60 s by default), and nothing comes.
 */
export function takenIn(holder: Holder, written: Written, before: Stalled | undefined): 'Yes' | 'OnItsWay' | 'No' {
  if (hasLogged(holder, written)) return 'Yes';
  if (linkTo(holder, written.look) === undefined) return 'No';
  if (before === undefined || stallOf(holder, written) !== before.place) return 'Yes';
  return holder.lookAt < before.since + ON_ITS_WAY_MS ? 'OnItsWay' : 'No';
}

/** A link that breaks takes nothing back of what came over it before; numbers under one server id on both sides prove nothing. */
function hasLogged({ look }: Holder, { look: { identity }, own }: Written): boolean {
  if (look?.logSlaveUpdates !== true || look.identity.serverId === identity.serverId) return false;
  return isWithin(stateOf(own), binlogStateOf(look));
}

/** `now`: monotonic ms. Null: its link does not stall. */
export function stalled(holder: Holder, written: Written, before: Stalled | undefined, now: number): Stalled | null {
  const place = stallOf(holder, written);
  if (place === null) return null;
  return before?.place === place ? before : { since: now, place };
}

/** What the link has received that something is missing behind. Null: there is none, it has all, or it waits for its own side. */
function stallOf(holder: Holder, written: Written): string | null {
  const link = linkTo(holder, written.look);
  if (link === undefined || waitsForItsOwnSide(link) || hasReceived(holder, written, link)) return null;
  return `${link.read.file}:${link.read.position} ${formatPosition(link.gtidIoPos)}`;
}

/** The link by which a holder that logs what it applies takes in what a member writes. */
function linkTo({ look }: Holder, { identity }: ServerLook): Link | undefined {
  if (look?.logSlaveUpdates !== true) return undefined;
  return look.links.find(
    ({ sql, io, sourceServerId }) => sql === 'Yes' && io === 'Yes' && sourceServerId === identity.serverId,
  );
}

/** "Queueing master event to the relay log", "Waiting for the slave SQL thread to free enough relay log space". */
function waitsForItsOwnSide({ ioState }: Link): boolean {
  return ioState.includes('relay log');
}

function hasReceived({ look }: Holder, written: Written, link: Link): boolean {
  const { end } = written.look;
  // Also where something is filtered out on the way.
  if (end !== null && compareCoordinates(link.read, end) >= 0) return true;
  if (look === null) return false;
  const positions = [look.gtidSlavePos, link.gtidIoPos].map(stateOfPosition);
  return isWithin(stateOf(written.own), mergeStates(binlogStateOf(look), ...positions));
}
