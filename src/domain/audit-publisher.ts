import type { AuditFinding, AuditInput } from './audit.ts';
import { isRefusal, valueOf, wasAsked } from './fact.ts';
import type { Known } from './fact.ts';
import { beyond, formatPosition, stateOfPosition } from './gtid.ts';
import { sameServer, stateOfServer } from './memory.ts';
import type { MemberObservation } from './observation.ts';
import type { PublisherLook } from './published.ts';
import { lacking } from './proof.ts';
import { comparable } from './published.ts';
import { isOfAnother } from './told-by-publisher.ts';

/** The VIP moves, and who has it is heard of at different moments: a contradiction that lasts longer is one. */
const DISAGREES_AFTER_MS = 5_000;
const CLOCK_SKEW_MS = 60_000;

/** What is wrong with the publishers. Everything but what only they can tell goes on without them: warnings. */
export function auditPublishers(input: AuditInput): readonly AuditFinding[] {
  return input.observation.members.flatMap((member) => {
    const { publisher } = member;
    if (publisher === undefined || !wasAsked(publisher)) return [];
    if (publisher.known) {
      const clock = clockSkew(input, member, publisher);
      return [...disagrees(input, member), ...peerWrites(input, member), ...clock, ...plainHttp(input, member)];
    }
    const does = isRefusal(publisher) ? 'refuses mxr' : 'does not answer';
    const message = `the publisher of ${member.name} ${does}: ${publisher.why}. mxr goes on without it; where only the VIP is routed nobody tells then which member has it. ${cureOf(publisher.code)}`;
    return [finding('PublisherUnreachable', member, message), ...plainHttp(input, member)];
  });
}

function cureOf(code: string): string {
  if (code === 'AccessDenied')
    return 'Write the token that this publisher was given (MXR_PUBLISHER_TOKEN_FILE) into the key token of the Secret in source.publisherAuth';
  if (code === 'TlsRefused')
    return 'Write the CA that signed its certificate into the key ca.crt of the Secret in source.publisherAuth, or give it a certificate that names the host in members[].publisher.url';
  return 'Start it, or correct members[].publisher.url';
}

function finding(name: AuditFinding['finding'], member: MemberObservation, message: string): AuditFinding {
  return { finding: name, severity: 'warning', subject: member.name, message };
}

function disagrees(input: AuditInput, member: MemberObservation): AuditFinding[] {
  const why = ofAnotherServer(input, member) ?? aboutTheVip(input, member);
  return why === null ? [] : [finding('PublisherDisagrees', member, why)];
}

function ofAnotherServer({ observation }: AuditInput, member: MemberObservation): string | null {
  const { name } = member;
  const told = valueOf(member.publisher);
  const cure = `correct members[].publisher.url of ${name}, or what that publisher connects to`;
  if (isOfAnother(member, observation.members)) {
    return `the publisher of ${name} says that it runs beside ${told?.member ?? ''}: it is not believed. Correct members[].publisher.url, or its own settings`;
  }
  const own = valueOf(member.look)?.identity;
  const published = told?.databaseAnswers === true ? told.identity : null;
  if (own === undefined || published === null || sameServer(comparable(published, own), own)) return null;
  return `the publisher of ${name} answers for another server: ${published.hostname} (server_id ${published.serverId}, port ${published.port}), and ${name} itself is ${own.hostname} (server_id ${own.serverId}, port ${own.port}). It is not believed; ${cure}`;
}

function aboutTheVip({ observation, diagnosis, holderSince }: AuditInput, member: MemberObservation): string | null {
  const { holder } = diagnosis;
  const told = valueOf(member.publisher);
  if (holder === null || holder.knownBy === 'Publisher' || told === undefined || told.vipHeld === null) return null;
  const holds = holder.member.name === member.name;
  if (told.vipHeld === holds) return null;
  if (observation.now - Math.max(told.vipHeldSince, holderSince) < DISAGREES_AFTER_MS) return null;
  const { name } = member;
  return holds
    ? `the publisher of ${name} says that its host does not have the VIP, and ${name} answers behind it: correct the VIP that it was told, or members[].publisher.url`
    : `the publisher of ${name} says that its host has the VIP, and ${holder.member.name} answers behind it: two hosts may claim the address. Look at the interfaces and at keepalived of both`;
}

/** While the peer lives, what the holder lacks of it is on its way, or seen in its own binlog. */
function peerWrites({ observation, diagnosis: { holder } }: AuditInput, member: MemberObservation): AuditFinding[] {
  const peer = valueOf(member.publisher)?.peer ?? null;
  if (peer === null || holder?.look == null || holder.member.name !== member.name) return [];
  if (isOfAnother(member, observation.members)) return [];
  const other = observation.members.find(({ name }) => name === peer.member);
  if (other === undefined || other.name === member.name || !isDead(other)) return [];
  const has = stateOfServer(holder.look);
  const missing = beyond(stateOfPosition(peer.binlogPos), has);
  if (missing.length === 0) return [];
  const { count, gtids } = lacking(missing, has);
  const seen = `${peer.end.file}:${peer.end.position}, ${formatPosition(peer.binlogPos)} (${new Date(peer.at).toISOString()})`;
  const message = `${peer.member} does not answer, and had logged ${count ?? 'some'} transactions that ${member.name} does not have: ${gtids.slice(0, 3).join(', ')}${gtids.length > 3 ? ', ...' : ''}. The publisher of ${member.name} saw the binlog of ${peer.member} end at ${seen}. Replicas that have them are Ahead; keep the data directory of ${peer.member} before it is loaded anew`;
  return [finding('PeerWritesMissing', member, message)];
}

function isDead({ look, publisher }: MemberObservation): boolean {
  return !look.known && wasAsked(look) && valueOf(publisher)?.databaseAnswers !== true;
}

function clockSkew({ observation }: AuditInput, member: MemberObservation, { value, at }: Known<PublisherLook>) {
  if (value.observedAt === null || value.ageMs === null) return [];
  const expected = observation.wallNow - (observation.now - at) - value.ageMs;
  const skewMs = value.observedAt - expected;
  if (Math.abs(skewMs) <= CLOCK_SKEW_MS) return [];
  const apart = `${Math.round(Math.abs(skewMs) / 1000)} s ${skewMs > 0 ? 'ahead of' : 'behind'}`;
  const message = `the clock of the host of ${member.name} is ${apart} the clock of mxr: times in the status and in journals cannot be compared. Run a time service on both`;
  return [finding('ClockSkew', member, message)];
}

function plainHttp({ plainPublishers }: AuditInput, member: MemberObservation): AuditFinding[] {
  if (!plainPublishers.includes(member.name)) return [];
  const message = `the url of the publisher of ${member.name} is plain http, and the token of source.publisherAuth is sent there in the clear: give that publisher a certificate and write https`;
  return [finding('PublisherPlainHttp', member, message)];
}
