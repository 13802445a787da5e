import type { Fact } from '../../../src/domain/fact.ts';
import { known, unknown } from '../../../src/domain/fact.ts';
import type { ServerLook } from '../../../src/domain/observation.ts';
import type { PublisherLook } from '../../../src/domain/published.ts';
import { START, startOf } from './times.ts';
import type { Member } from './vocabulary.ts';

interface Truth {
  /** The member that it runs beside. */
  readonly name: string;
  /** The server that it speaks of. */
  readonly look: ServerLook;
  readonly holds: boolean;
}

/** What a publisher says: the truth, but for what the file says. */
export function publisherOf(
  said: NonNullable<Member['publisher']>,
  { name, look, holds }: Truth,
  at: number,
): Fact<PublisherLook> {
  if (said.down !== undefined) return unknown(said.down, 'no answer', at);
  const startedAt = said.started === undefined ? look.identity.startedAt : startOf(said.started);
  const ageMs = 1000 * (said.age ?? 0.1);
  const value: PublisherLook = {
    member: said.beside ?? name,
    databaseAnswers: said.databaseAnswers ?? true,
    identity: { ...look.identity, startedAt, machineId: null, datadirId: null },
    vipHeld: said.holds === undefined ? holds : said.holds,
    vipHeldSince: 0,
    readOnly: look.readOnly,
    logSlaveUpdates: look.logSlaveUpdates,
    end: look.end,
    binlogPos: look.gtidBinlogPos,
    binlogState: look.gtidBinlogState ?? new Map(),
    slavePos: look.gtidSlavePos,
    takeover: null,
    observedAt: START + at - ageMs,
    ageMs,
  };
  return known(value, at);
}
