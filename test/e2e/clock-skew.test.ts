import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import { cachedFakeTime, clockOffBy } from '../support/faketime.ts';
import { movesUnderWrites } from './support/moves.ts';
import { PublisherProcess } from './support/publisher-process.ts';
import { beginPublished } from './support/published-stage.ts';
import type { Stage } from './support/stage.ts';

const HOURS = -1;

// The host of hci-b lives an hour ago: its publisher, and its database, where this machine can have that.
let stage: Stage;
let close = async (): Promise<void> => undefined;

before(async () => {
  const library = cachedFakeTime();
  const env = library === undefined ? {} : clockOffBy(HOURS, library);
  ({ stage, close } = await beginPublished({ bench: { b: { env } } }, async ({ bench }, member) =>
    member === bench.a ? PublisherProcess.start(bench, member) : PublisherProcess.withClock(bench, member, HOURS),
  ));
});
after(async () => close());

function skewed({ findings }: Status): string[] {
  return findings.filter(({ finding }) => finding === 'ClockSkew').map(({ subject }) => subject);
}

test('a host whose clock is an hour off is told, and the other one is not', async () => {
  await stage.following('hci-a');
  const { findings } = await stage.statusIs('the skew is told', (status) => skewed(status).length > 0);
  assert.deepEqual(skewed({ ...(await stage.status()), findings }), ['hci-b']);
  const told = findings.find(({ finding }) => finding === 'ClockSkew');
  assert.match(told?.message ?? '', /the clock of the host of hci-b is 36\d\d s behind the clock of mxr/);
});

test('its takeover is followed all the same, and so is the way back', async () => {
  const { bench } = stage;
  await movesUnderWrites(stage, { from: bench.a, to: bench.b, fault: async () => bench.a.planned() });
  await bench.rejoin(bench.a, 'keep');
  await movesUnderWrites(stage, { from: bench.b, to: bench.a, fault: async () => bench.b.kill9() });
});
