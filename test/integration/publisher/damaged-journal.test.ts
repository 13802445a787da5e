import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { enterSandbox } from '../../support/sandbox.ts';
import type { Pair } from './pair.ts';
import { hasAll, place, promote, standing, startPair, write } from './pair.ts';
import { PublisherProcess, moveVip } from './process.ts';

await enterSandbox();

const VIP = '10.9.0.100';

/** The last digit of a coordinate of the record becomes its neighbour: still an entry, but for its checksum. */
function flipped(line: string): string {
  const [found = ''] = /"peerPosition":\d+/u.exec(line) ?? [];
  assert.notEqual(found, '', line);
  const bytes = Buffer.from(line);
  const at = line.indexOf(found) + found.length - 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes.toString();
}

/**
 * The publisher of a standby dies just after the VIP came, and the standby is promoted and written to while nobody looks.
 * Only its journal says where that was; each test starts a publisher with a copy of it that came to another harm.
 */
describe('a publisher whose journal came to harm', { timeout: 180_000 }, () => {
  let pair: Pair;
  let truth: Awaited<ReturnType<typeof standing>>;
  let file = '';
  /** One entry each. */
  let lines: readonly string[] = [];

  before(async () => {
    pair = await startPair();
    const { primary, standby } = pair;
    const publisher = await PublisherProcess.start({ name: 'whole', server: standby, flags: [`--vip=${VIP}`] });
    for (const rows of [3, 4, 5]) {
      await write(primary, rows);
      await hasAll(standby, primary);
      truth = await standing(standby);
      await publisher.coordinatesWhen('the journal has where it stands', async () => {
        const said = (await publisher.journal()).at(-1)?.takeover ?? null;
        return JSON.stringify(place(said)) === JSON.stringify(truth);
      });
    }
    await primary.kill9();
    moveVip(VIP, 'add');
    await publisher.coordinatesWhen('the journal has the VIP', async () => {
      return (await publisher.journal()).at(-1)?.vipHeld === true;
    });
    await publisher.end('SIGKILL');
    await promote(standby);
    await write(standby, 40);
    const [name = ''] = readdirSync(publisher.directory).filter((one) => one.startsWith('journal-'));
    file = join(publisher.directory, name);
    lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    assert.ok(lines.length >= 4, `there are ${lines.length} entries`);
  });
  after(() => pair?.stop());

  /** It has looked at all that the server wrote. */
  async function startedOn(name: string, kept: readonly string[]) {
    const directory = join(dirname(dirname(file)), `publisher-${name}`);
    mkdirSync(directory);
    writeFileSync(join(directory, basename(file)), `${kept.join('\n')}\n`);
    const publisher = await PublisherProcess.start({ name, server: pair.standby, flags: [`--vip=${VIP}`] });
    const end = await standing(pair.standby);
    const said = await publisher.coordinatesWhen('it has looked', (now) => now.position === end.ownPosition);
    return { publisher, takeover: place(said.takeover) };
  }

  /** In its answer, in its log, and nowhere more than this. */
  async function tells(publisher: PublisherProcess, damagedLine: number): Promise<void> {
    const damage = await publisher.damage();
    assert.equal(damage.length, 1, damage.join('\n'));
    assert.match(damage[0] ?? '', new RegExp(`^${basename(file)} line ${damagedLine} is damaged`, 'u'));
    const [warning, ...more] = publisher.lines.filter(({ message }) => message === 'the journal is not whole');
    assert.deepEqual([warning?.['level'], warning?.['damage'], more], ['warn', damage, []]);
    const seqs = (await publisher.journal()).map(({ seq }) => seq);
    assert.ok(!seqs.includes(damagedLine), `entry ${damagedLine} is not given`);
  }

  test('knows the takeover point and complains of nothing where it is whole', async () => {
    const { publisher, takeover } = await startedOn('copied', lines);
    assert.deepEqual([takeover, await publisher.damage()], [truth, []]);
    assert.ok(!publisher.said({ message: 'the journal is not whole' }));
    await publisher.end();
  });

  test('tells of a bit that was flipped in the middle, and still knows the takeover point from what stands behind it', async () => {
    const middle = Math.floor(lines.length / 2);
    const { publisher, takeover } = await startedOn(
      'middle',
      lines.map((line, index) => (index === middle ? flipped(line) : line)),
    );
    await tells(publisher, middle + 1);
    assert.deepEqual(takeover, truth);
    await publisher.end();
  });

  test('tells of a bit that was flipped in the last entry, and knows the takeover point from the one before', async () => {
    const { publisher, takeover } = await startedOn('last', [...lines.slice(0, -1), flipped(lines.at(-1) ?? '')]);
    await tells(publisher, lines.length);
    assert.deepEqual(takeover, truth);
    await publisher.end();
  });

  test('gives the takeover point up where only the damaged last entry knew it', async () => {
    const knows = lines.findIndex((line) => line.includes(`"peerPosition":${truth.peerPosition}`));
    assert.ok(knows > 0);
    const { publisher, takeover } = await startedOn('alone', [...lines.slice(0, knows), flipped(lines[knows] ?? '')]);
    await tells(publisher, knows + 1);
    assert.equal(takeover, null);
    assert.ok(publisher.said({ message: 'there is no takeover record', reason: 'AppliedSince' }), publisher.output);
    await publisher.end();
  });
});
