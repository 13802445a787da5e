import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachmentOf } from '../../../src/domain/attached.ts';
import { factsOf } from '../../../src/domain/context.ts';
import { calmPair, link, POLICY } from './pair-fixture.ts';

const IP = '10.1.0.1';

function dump(ageSeconds: number | null) {
  return [{ connectionId: 11, address: IP, user: 'repl', ageSeconds }];
}

/** A link that dials the VIP, which a holds; both members have the same server id. */
function attachment(onHolder: number | null, onOther: number | null, host = POLICY.vip.host): string {
  const pair = calmPair({
    a: { dumps: dump(onHolder) },
    b: { dumps: dump(onOther) },
    replica: { links: [link({ host })] },
  });
  const members = pair.observation.members.map((member) => {
    if (!member.look.known) return member;
    const { value } = member.look;
    return { ...member, look: { ...member.look, value: { ...value, identity: { ...value.identity, serverId: 1 } } } };
  });
  const observation = { ...pair.observation, members };
  const [observed] = observation.replicas;
  const { holder } = pair.diagnosis;
  assert.ok(observed && holder);
  const replica = factsOf({ policy: POLICY, memory: pair.memory, observation }, observed);
  assert.ok(replica);
  return attachmentOf({ policy: POLICY, memory: pair.memory, observation }, replica, holder);
}

test('of two dump connections of one link through the VIP the later one lives', () => {
  assert.equal(attachment(3, 60), 'Dump', 'what it left behind on the other one says nothing');
  assert.equal(attachment(60, 3), 'No', 'it went to the other one, and left this behind');
});

test('where the later one cannot be told it proves nothing', () => {
  assert.equal(attachment(3, 4), 'No');
  assert.equal(attachment(null, 60), 'No');
  assert.equal(attachment(3, null), 'No');
});

test('a link that dials the member cannot be elsewhere', () => {
  assert.equal(attachment(60, 3, '10.0.0.11'), 'Dump');
});
