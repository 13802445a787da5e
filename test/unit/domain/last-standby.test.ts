import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newLineage, rememberMember, seenAsStandby } from '../../../src/domain/lineage.ts';
import type { MemberMemory } from '../../../src/domain/memory.ts';
import { look, state, WALL } from './pair-fixture.ts';

function endOf({ lastStandby }: MemberMemory): number | undefined {
  return lastStandby?.end.position;
}

function binlogAt(end: number, own: string) {
  return look('b', 2, {
    logSlaveUpdates: false,
    end: { file: 'b-bin.000001', position: end },
    gtidBinlogState: state(own),
  });
}

const STANDBY = binlogAt(400, '0-2-7');
const WROTE = binlogAt(900, '0-2-101');

test('a link that is still configured makes nobody a standby: only the VIP seen elsewhere since does', () => {
  const first = newLineage('b', STANDBY, WALL);
  assert.equal(endOf(first), undefined);
  assert.equal(endOf(seenAsStandby(first, WALL)), undefined);
  assert.equal(endOf(seenAsStandby(first, WALL + 1)), 400);
});

test('what a member logs after its last look as a standby moves its takeover point only when it was no holder', () => {
  const standby = seenAsStandby(newLineage('b', STANDBY, WALL), WALL + 1);
  const wrote = rememberMember(standby, 'b', WROTE, WALL + 1000);
  assert.equal(endOf(wrote), 400);
  assert.equal(endOf(seenAsStandby(wrote, WALL + 500)), 400);
  assert.equal(endOf(seenAsStandby(wrote, WALL + 2000)), 900);
});

test('what it applies without logging it is followed at once', () => {
  const standby = seenAsStandby(newLineage('b', STANDBY, WALL), WALL + 1);
  const [link] = STANDBY.links;
  assert.ok(link);
  const links = [{ ...link, exec: { file: link.exec.file, position: 5000 } }];
  const applied = rememberMember(standby, 'b', { ...STANDBY, links }, WALL + 1000);
  assert.equal(applied.lastStandby?.standby?.applied.position, 5000);
});

test('an applier that is stopped where it had drained still had; one that received more had not', () => {
  const [drained] = STANDBY.links;
  assert.ok(drained);
  const byFile = { ...drained, usingGtid: 'No', gtidIoPos: new Map() } as const;
  const first = seenAsStandby(newLineage('b', { ...STANDBY, links: [byFile] }, WALL), WALL + 1);
  assert.equal(first.lastStandby?.standby?.drained, true);
  const stopped = { ...byFile, io: 'Connecting', sql: 'No', sqlState: '' } as const;
  const drainedAt = (link: typeof stopped): boolean | undefined =>
    rememberMember(first, 'b', { ...STANDBY, links: [link] }, WALL + 1000).lastStandby?.standby?.drained;
  assert.equal(drainedAt(stopped), true);
  const further = { file: byFile.exec.file, position: byFile.exec.position + 300 };
  assert.equal(drainedAt({ ...stopped, read: further, exec: further }), true, 'it applied all of that, too');
  assert.equal(drainedAt({ ...stopped, read: further }), false);
});
