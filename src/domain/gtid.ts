/**
 * MariaDB GTIDs and what sets of them mean.
 *
 * A *position* (`gtid_slave_pos`) names the last transaction per domain. A *state* (`gtid_binlog_state`, a Gtid_list
 * event) names the highest sequence number per (domain, server id). Comparing sequence numbers alone is how others lose
 * data: a server id is part of every comparison here.
 */
export interface Gtid {
  readonly domain: number;
  readonly serverId: number;
  readonly seq: bigint;
}

/** Last GTID per domain. */
export type GtidPosition = ReadonlyMap<number, Gtid>;
/** Highest sequence number per domain and server id. */
export type GtidState = ReadonlyMap<number, ReadonlyMap<number, bigint>>;

const MAX_U32 = 4294967295;
const MAX_U64 = 18446744073709551615n;

export function parseGtid(text: string): Gtid | undefined {
  const match = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/.exec(text.trim());
  if (match === null) return undefined;
  const domain = Number(match[1]);
  const serverId = Number(match[2]);
  const seq = BigInt(match[3] ?? '');
  if (domain > MAX_U32 || serverId > MAX_U32 || seq > MAX_U64) return undefined;
  return { domain, serverId, seq };
}

export function formatGtid(gtid: Gtid): string {
  return `${gtid.domain}-${gtid.serverId}-${gtid.seq}`;
}

function parseList(text: string): Gtid[] | undefined {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const gtids = parts.map(parseGtid);
  return gtids.every((gtid) => gtid !== undefined) ? gtids : undefined;
}

/** `undefined` when the text is not a GTID list or names a domain twice; the empty text is the empty position. */
export function parsePosition(text: string): GtidPosition | undefined {
  const gtids = parseList(text);
  if (gtids === undefined) return undefined;
  const position = new Map(gtids.map((gtid) => [gtid.domain, gtid]));
  return position.size === gtids.length ? position : undefined;
}

export function formatPosition(position: GtidPosition): string {
  return [...position.values()]
    .toSorted((a, b) => a.domain - b.domain)
    .map(formatGtid)
    .join(',');
}

/** `undefined` when the text is not a GTID list. A pair named twice keeps its highest number. */
export function parseState(text: string): GtidState | undefined {
  const gtids = parseList(text);
  return gtids === undefined ? undefined : stateOf(gtids);
}

export function stateOf(gtids: Iterable<Gtid>): GtidState {
  const state = new Map<number, Map<number, bigint>>();
  for (const { domain, serverId, seq } of gtids) {
    const servers = state.get(domain) ?? new Map<number, bigint>();
    const before = servers.get(serverId);
    if (before === undefined || before < seq) servers.set(serverId, seq);
    state.set(domain, servers);
  }
  return state;
}

export function gtidsOf(state: GtidState): Gtid[] {
  return [...state].flatMap(([domain, servers]) => [...servers].map(([serverId, seq]) => ({ domain, serverId, seq })));
}

export function formatState(state: GtidState): string {
  return gtidsOf(state)
    .toSorted((a, b) => a.domain - b.domain || a.serverId - b.serverId)
    .map(formatGtid)
    .join(',');
}

export function mergeStates(...states: GtidState[]): GtidState {
  return stateOf(states.flatMap(gtidsOf));
}

export function stateOfPosition(position: GtidPosition): GtidState {
  return stateOf(position.values());
}

/** The highest number of (domain, server id), or `undefined` when the state does not know the pair. */
export function seqIn(state: GtidState, gtid: Pick<Gtid, 'domain' | 'serverId'>): bigint | undefined {
  return state.get(gtid.domain)?.get(gtid.serverId);
}

export function stateHas(state: GtidState, gtid: Gtid): boolean {
  const seq = seqIn(state, gtid);
  return seq !== undefined && seq >= gtid.seq;
}

/** The pairs of `a` that go beyond `b`: what `a` has and `b` lacks, each with `a`'s highest number. */
export function beyond(a: GtidState, b: GtidState): Gtid[] {
  return gtidsOf(a).filter((gtid) => !stateHas(b, gtid));
}

export function isWithin(a: GtidState, b: GtidState): boolean {
  return beyond(a, b).length === 0;
}

export function sameGtid(a: Gtid | undefined, b: Gtid | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.domain === b.domain && a.serverId === b.serverId && a.seq === b.seq;
}

export function samePosition(a: GtidPosition, b: GtidPosition): boolean {
  return a.size === b.size && [...a].every(([domain, gtid]) => sameGtid(gtid, b.get(domain)));
}

/** What one server wrote of these. */
export function ofServer(gtids: Iterable<Gtid>, serverId: number): Gtid[] {
  return [...gtids].filter((gtid) => gtid.serverId === serverId);
}

/** The state without every pair of one server id (a replica's own local writes). */
export function withoutServer(state: GtidState, serverId: number): GtidState {
  return stateOf(gtidsOf(state).filter((gtid) => gtid.serverId !== serverId));
}

/** The domains of `a` that `b` does not know at all. */
export function unknownDomains(a: GtidState, b: GtidState): number[] {
  return [...a.keys()].filter((domain) => !b.has(domain));
}

/** Behind its position a server has this, or never gets it: what it is sent comes after. */
export function isPassed(position: GtidPosition, { domain, seq }: Gtid): boolean {
  return (position.get(domain)?.seq ?? -1n) > seq;
}
