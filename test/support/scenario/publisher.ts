import type { Fact } from '../../../src/domain/fact.ts';
import { known, unknown } from '../../../src/domain/fact.ts';
import type { ServerLook } from '../../../src/domain/observation.ts';
import type { ImportedPosition, PublishedTakeover, PublisherLook } from '../../../src/domain/published.ts';
import { lastOf, placeOf, position, state } from './words.ts';
import { START, startOf } from './times.ts';
import type { Member } from './vocabulary.ts';

interface Truth {
  /** The member that it runs beside. */
  readonly name: string;
  /** The server that it speaks of. */
  readonly look: ServerLook;
  readonly holds: boolean;
  /** Address and server id of a member. */
  readonly source: (member: string) => { readonly host: string; readonly serverId: number };
}

const HOUR_MS = 3_600_000;

/** What a publisher says: the truth, but for what the file says. */
export function publisherOf(said: NonNullable<Member['publisher']>, truth: Truth, at: number): Fact<PublisherLook> {
  const { name, look, holds } = truth;
  if (said.down !== undefined) return unknown(said.down, 'no answer', at);
  const startedAt = said.started === undefined ? look.identity.startedAt : startOf(said.started);
  const ageMs = 1000 * (said.age ?? 0.1);
  const observedAt = START + at - ageMs + (said.clock ?? 0) * HOUR_MS;
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
    takeover: said.takeover === undefined ? null : takeoverOf(said.takeover, truth, observedAt),
    peer: null,
    imported: {
      masterEnd: importedOf(said.imported?.masterEnd, observedAt),
      slaveEnd: importedOf(said.imported?.slaveEnd, observedAt),
    },
    observedAt,
    ageMs,
  };
  return known(value, at);
}

type SaidPosFile = NonNullable<NonNullable<Member['publisher']>['imported']>['masterEnd'];

function importedOf(said: SaidPosFile, observedAt: number): ImportedPosition | null {
  return said === undefined ? null : { ...placeOf(said.at), at: observedAt - 1000 * said.ago };
}

type SaidTakeover = NonNullable<NonNullable<Member['publisher']>['takeover']>;

function takeoverOf(said: SaidTakeover, { look, source }: Truth, observedAt: number): PublishedTakeover {
  const { host, serverId } = source(said.of);
  const binlogState = said.logged === undefined ? (look.gtidBinlogState ?? new Map()) : state(said.logged);
  return {
    at: observedAt - 1000 * said.ago,
    end: said.end === undefined ? (look.end ?? { file: '', position: 0 }) : placeOf(said.end),
    binlogState,
    binlogPos: lastOf(binlogState),
    slavePos: said.applied === undefined ? look.gtidSlavePos : position(said.applied),
    standby: {
      sourceHost: host,
      sourceServerId: serverId,
      applied: placeOf(said.exec),
      usingGtid: said.mode === 'GTID',
      drained: said.drained,
    },
  };
}
