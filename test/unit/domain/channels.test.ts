import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ofChannel } from '../../../src/domain/channels.ts';
import { formatPosition, formatState } from '../../../src/domain/gtid.ts';
import { link, look, position, state } from './pair-fixture.ts';

const OWN = link({ channel: 'orders', sourceServerId: 1, gtidIoPos: position('0-1-100,7-70-5') });

function seen(other: Parameters<typeof link>[0]) {
  const replica = look('orders-0', 11, {
    gtidSlavePos: position('0-1-100,7-70-9'),
    gtidBinlogState: state('0-1-100,7-70-9'),
    links: [OWN, link(other)],
  });
  const { gtidSlavePos, gtidBinlogState, links } = ofChannel(replica, 'ORDERS', [1, 2]);
  return [
    formatPosition(gtidSlavePos),
    formatState(gtidBinlogState ?? new Map()),
    formatPosition(links[0]?.gtidIoPos ?? new Map()),
  ];
}

test('what another channel brought from its own source is no history of the pair', () => {
  assert.deepEqual(seen({ channel: 'stock', sourceServerId: 70 }), ['0-1-100', '0-1-100', '0-1-100']);
});

test('what a member wrote is, whoever brings it; and what nobody can tell stays', () => {
  const all = ['0-1-100,7-70-9', '0-1-100,7-70-9', '0-1-100,7-70-5'];
  assert.deepEqual(seen({ channel: 'stock', sourceServerId: 2 }), all);
  assert.deepEqual(seen({ channel: 'stock', sourceServerId: 0 }), all);
  assert.deepEqual(seen({ channel: 'stock', sourceServerId: 71 }), all);
});
