import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import { cachedFakeTime, clockOffBy } from '../support/faketime.ts';
import { movesUnderWrites } from './support/moves.ts';
import { PUBLISHER_TOKEN, PublisherProcess, publishing } from './support/publisher-process.ts';
import { NAMESPACE, Stage } from './support/stage.ts';

const HOURS = -1;

// The host of hci-b lives an hour ago: its publisher, and its database, where this machine can have that.
let stage: Stage;
let publishers: readonly PublisherProcess[] = [];

before(async () => {
  const library = cachedFakeTime();
  const env = library === undefined ? {} : clockOffBy(HOURS, library);
  stage = await Stage.open({ bench: { b: { env } } });
  const { bench, api } = stage;
  await api.createSecret(NAMESPACE, 'orders-publisher', { token: PUBLISHER_TOKEN });
  publishers = await Promise.all([
    PublisherProcess.start(bench, bench.a),
    PublisherProcess.withClock(bench, bench.b, HOURS),
  ]);
  await stage.startOperator();
  await stage.createResource(publishing(bench));
});
after(async () => {
  await Promise.all(publishers.map(async (publisher) => publisher.kill9()));
  await stage.close();
});

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
