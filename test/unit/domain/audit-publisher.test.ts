import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { audit } from '../../../src/domain/audit.ts';
import type { AuditFinding, AuditInput } from '../../../src/domain/audit.ts';
import { unknown } from '../../../src/domain/fact.ts';
import type { MemberObservation } from '../../../src/domain/observation.ts';
import type { Diagnosis } from '../../../src/domain/situation.ts';
import { calmPair, NOW, POLICY, position, published, WALL, withPublisher } from './pair-fixture.ts';

function input(): AuditInput {
  const { observation, memory, diagnosis } = calmPair();
  const rest = { lastHolder: 'a', holderSince: 0, netTimeoutSeconds: 8, plainPublishers: [] };
  return { policy: POLICY, observation, memory, diagnosis, ...rest };
}

function found(value: AuditInput): string[] {
  return audit(value).map(({ finding, severity, subject }) => `${finding} ${severity} ${subject}`);
}

function only(value: AuditInput): AuditFinding {
  const [first, another] = audit(value);
  assert.ok(first !== undefined && another === undefined);
  return first;
}

function withMembers(value: AuditInput, members: readonly MemberObservation[]): AuditInput {
  return { ...value, observation: { ...value.observation, members } };
}

describe('a publisher', () => {
  /** `a` holds the VIP; each publisher says what is changed of the truth. */
  function told(ofA: Parameters<typeof published>[1], ofB: Parameters<typeof published>[1] = {}): AuditInput {
    const value = input();
    const { a, b } = calmPair();
    const [atA, atB] = value.observation.members;
    assert.ok(atA !== undefined && atB !== undefined);
    return withMembers(value, [withPublisher(atA, published(a, ofA)), withPublisher(atB, published(b, ofB))]);
  }

  function silent(code: string): AuditInput {
    const value = told({});
    const publisher = unknown(code, 'nobody listens there', NOW - 5);
    return withMembers(
      value,
      value.observation.members.map((member) => (member.name === 'b' ? { ...member, publisher } : member)),
    );
  }

  test('that agrees is no finding, and neither is one that was not asked yet', () => {
    assert.deepEqual(found(told({})), []);
    assert.deepEqual(found(silent('NotAskedYet')), []);
  });

  test('that does not answer is a warning with the cause', () => {
    assert.deepEqual(found(silent('ConnectionRefused')), ['PublisherUnreachable warning b']);
    assert.match(only(silent('Deadline')).message, /publisher of b does not answer: nobody listens there/);
  });

  test('that refuses the token or shows another certificate names what mends it', () => {
    assert.match(
      only(silent('AccessDenied')).message,
      /refuses mxr: .*\. .*key token of the Secret in source\.publisherAuth$/,
    );
    assert.match(only(silent('TlsRefused')).message, /key ca\.crt of the Secret in source\.publisherAuth, or give it/);
  });

  test('that speaks of another server', () => {
    const { b } = calmPair();
    const identity = { ...b.identity, machineId: null, datadirId: null };
    const finding = only(told({ identity }));
    assert.deepEqual([finding.finding, finding.subject], ['PublisherDisagrees', 'a']);
    assert.match(finding.message, /answers for another server: b \(server_id 2, port 3306\), and a itself is a/);
    const before = { ...calmPair().a.identity, startedAt: 1, machineId: null, datadirId: null };
    assert.deepEqual(found(told({ identity: before })), [], 'of the life before: it may not have looked again yet');
    assert.deepEqual(found(told({ identity, databaseAnswers: false })), [], 'what it said last');
    assert.match(only(told({ member: 'b' })).message, /publisher of a says that it runs beside b/);
  });

  test('that contradicts the proven holder for more than a few seconds', () => {
    assert.match(
      only(told({ vipHeld: false })).message,
      /says that its host does not have the VIP, and a answers behind/,
    );
    assert.match(only(told({}, { vipHeld: true })).message, /says that its host has the VIP, and a answers behind it/);
    const [now, before] = [NOW - 4_999, NOW - 5_001];
    assert.deepEqual(found(told({ vipHeld: false, vipHeldSince: now })), []);
    assert.deepEqual(found(told({ vipHeld: false, vipHeldSince: before })), ['PublisherDisagrees warning a']);
    assert.deepEqual(found({ ...told({ vipHeld: false }), holderSince: now }), [], 'the VIP has just moved');
    assert.deepEqual(found(told({ vipHeld: null }, { vipHeld: null })), []);
  });

  test('is not held against what was only learnt from publishers', () => {
    const value = told({}, { vipHeld: true });
    const { holder } = value.diagnosis;
    assert.ok(holder !== null);
    const diagnosis: Diagnosis = { ...value.diagnosis, holder: { ...holder, knownBy: 'Publisher' } };
    assert.deepEqual(found({ ...value, diagnosis }), []);
  });

  test('on a host whose clock is more than a minute off', () => {
    const { observedAt } = published(calmPair().a);
    assert.ok(observedAt !== null);
    assert.deepEqual(found(told({ observedAt: observedAt + 59_000 })), []);
    assert.match(only(told({ observedAt: observedAt + 3_600_000 })).message, /host of a is 3600 s ahead of the clock/);
    assert.match(only(told({ observedAt: observedAt - 61_000 })).message, /host of a is 61 s behind the clock/);
    // A database that has long not been looked at is no wrong clock.
    assert.deepEqual(found(told({ observedAt: observedAt - 600_000, ageMs: 600_002 })), []);
  });

  test('that saw of a peer which is down more than the holder has', () => {
    const peer = {
      member: 'b',
      end: { file: 'b-bin.000003', position: 990 },
      binlogPos: position('0-1-103'),
      at: WALL,
    };
    const dead: Parameters<typeof told>[1] = { databaseAnswers: false };
    const gone = (value: AuditInput): AuditInput => {
      const look = unknown('Deadline', 'silent', NOW - 5);
      const members = value.observation.members.map((one) => (one.name === 'b' ? { ...one, look } : one));
      return withMembers(value, members);
    };
    const missing = (value: AuditInput) => audit(value).filter((one) => one.finding === 'PeerWritesMissing');
    assert.deepEqual(missing(told({ peer }, dead)), [], 'the peer lives');
    const [finding, another] = missing(gone(told({ peer }, dead)));
    assert.ok(finding !== undefined && another === undefined);
    assert.deepEqual([finding.severity, finding.subject], ['warning', 'a']);
    assert.match(
      finding.message,
      /b does not answer, and had logged 3 transactions that a does not have: 0-1-101, 0-1-102, /,
    );
    assert.match(finding.message, /end at b-bin.000003:990, 0-1-103/);
    const same = { ...peer, binlogPos: position('0-1-100') };
    assert.deepEqual(missing(gone(told({ peer: same }, dead))), []);
    assert.deepEqual(missing(gone(told({ peer: { ...peer, member: 'a' } }, dead))), [], 'it cannot be its own peer');
    assert.deepEqual(missing(gone(told({ peer: { ...peer, member: 'x' } }, dead))), [], 'no member of the pair');
    assert.deepEqual(missing(gone(told({ peer }))), [], 'mxr cannot reach it, its own publisher can');
  });

  test('that is sent a token over plain http, whether it answers or not', () => {
    assert.deepEqual(found({ ...told({}), plainPublishers: ['b'] }), ['PublisherPlainHttp warning b']);
    const both = { ...silent('Deadline'), plainPublishers: ['b'] };
    assert.deepEqual(found(both), ['PublisherUnreachable warning b', 'PublisherPlainHttp warning b']);
  });
});
