import { parsePosition, parseState } from '../../../src/domain/gtid.ts';
import type { GtidPosition, GtidState } from '../../../src/domain/gtid.ts';
import type { Coordinates } from '../../../src/domain/observation.ts';

export function position(text: string): GtidPosition {
  const parsed = parsePosition(text);
  if (parsed === undefined) throw new Error(`not a GTID position: ${text}`);
  return parsed;
}

export function state(text: string): GtidState {
  const parsed = parseState(text);
  if (parsed === undefined) throw new Error(`not a GTID state: ${text}`);
  return parsed;
}

/** The highest number of each domain. */
export function lastOf(logged: GtidState): GtidPosition {
  return new Map(
    [...logged].map(([domain, servers]) => {
      const [serverId, seq] = [...servers].reduce((a, b) => (b[1] > a[1] ? b : a));
      return [domain, { domain, serverId, seq }];
    }),
  );
}

export function placeOf(text: string): Coordinates {
  const colon = text.lastIndexOf(':');
  return { file: text.slice(0, colon), position: Number(text.slice(colon + 1)) };
}
