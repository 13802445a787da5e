import type { ServerLook } from './observation.ts';
import { withoutServer } from './gtid.ts';
import type { GtidPosition } from './gtid.ts';

type Part = Pick<ServerLook, 'gtidSlavePos' | 'links'> & Partial<Pick<ServerLook, 'gtidBinlogState' | 'gtidBinlogPos'>>;

/** Server ids of the sources of a replica's other channels; a member of the pair is none of them. */
function otherSources({ links }: Part, channel: string, members: readonly number[]): readonly number[] {
  const others = links.filter(
    (link) => link.channel.toLowerCase() !== channel.toLowerCase() && link.sourceServerId !== 0,
  );
  return others.map((link) => link.sourceServerId).filter((id) => !members.includes(id));
}

/**
 * gtid_slave_pos is one for all channels of a server: what the others brought is no history of this pair. MariaDB wants a
 * GTID domain of its own for each source; by the source's server id it is told apart.
 */
export function ofChannel<T extends Part>(look: T, channel: string, members: readonly number[]): T {
  if (look.links.length < 2) return look;
  const others = otherSources(look, channel, members);
  if (others.length === 0) return look;
  const own = (position: GtidPosition): GtidPosition =>
    new Map([...position].filter(([, { serverId }]) => !others.includes(serverId)));
  return {
    ...look,
    gtidSlavePos: own(look.gtidSlavePos),
    links: look.links.map((link) => ({ ...link, gtidIoPos: own(link.gtidIoPos) })),
    ...(look.gtidBinlogPos === undefined ? {} : { gtidBinlogPos: own(look.gtidBinlogPos) }),
    ...(look.gtidBinlogState == null ? {} : { gtidBinlogState: others.reduce(withoutServer, look.gtidBinlogState) }),
  };
}
