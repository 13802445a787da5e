import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import { makeCertificates } from '../support/certificates.ts';
import { movesUnderWrites } from './support/moves.ts';
import { PUBLISHER_TOKEN, PublisherProcess, publishing } from './support/publisher-process.ts';
import { NAMESPACE, Stage } from './support/stage.ts';

const FULL = process.env['MXR_FULL'] === '1';

// Only the VIP and the publishers are routed: the operator reaches no MariaDB of a member by its own address, and has no `match`.
let stage: Stage;
let publishers: readonly PublisherProcess[] = [];
/** PEM; each publisher's certificate has one of its own. */
const cas: string[] = [];

before(async () => {
  stage = await Stage.open({ spec: { link: { through: 'VIP' } } });
  const { bench } = stage;
  for (const member of bench.members) {
    for (const host of [bench.op, ...bench.replicas.map((replica) => replica.host)]) {
      await host.drop({ direction: 'out', peer: member.address, port: bench.vip.port });
    }
  }
  publishers = await Promise.all(
    bench.members.map(async (member) => {
      const directory = join(member.host.directory, 'certificates');
      const certificate = makeCertificates(directory, `IP:${member.address}`);
      cas.push(certificate.ca);
      return PublisherProcess.start(bench, member, certificate);
    }),
  );
  await publisherAuth(PUBLISHER_TOKEN, cas);
  await stage.startOperator();
});
after(async () => {
  await Promise.all(publishers.map(async (publisher) => publisher.kill9()));
  await stage.close();
});

/** The Secret that the resource names. */
async function publisherAuth(token: string, trusted: readonly string[]): Promise<void> {
  await stage.api.createSecret(NAMESPACE, 'orders-publisher', { token, 'ca.crt': trusted.join('\n') });
}

/** A Secret is read again every minute; what the one before it led to is still told until then. */
const READ_AGAIN_MS = 75_000;
/** While a publisher refuses what the Secret says, it is read every few seconds. */
const MENDED_MS = 30_000;

/** Of each publisher the finding that it cannot be asked, and with this cure. */
async function refusedFor(what: string, cure: RegExp, deadlineMs: number): Promise<void> {
  const { findings } = await stage.statusIs(what, (now) => refusals(now, cure).length === 2, deadlineMs);
  assert.ok(!JSON.stringify(findings).includes(PUBLISHER_TOKEN), 'no token is told');
}

function refusals({ findings }: Status, cure: RegExp): readonly unknown[] {
  return findings.filter(({ finding, message }) => finding === 'PublisherUnreachable' && cure.test(message));
}

function said({ source }: Status): string[] {
  return source.members.map(({ name, publisher }) => `${name} ${publisher?.reachable} ${publisher?.vipHeld}`);
}

test('without its publishers nobody can tell the members apart; with them the holder is known', async () => {
  await stage.createResource();
  const unknown = await stage.statusIs('the holder is unknown', ({ source }) => source.situation === 'HolderUnknown');
  assert.match(unknown.source.message, /members\[\]\.publisher/);
  await stage.patchSpec({ source: publishing(stage.bench, 'https') });
  await stage.following('hci-a');
  const heard = (now: Status): boolean => said(now).join() === 'hci-a true true,hci-b true false';
  const status = await stage.statusIs('both publishers were heard', heard, 60_000);
  assert.equal(
    status.source.members.some(({ reachable }) => reachable),
    false,
    'no member answers directly',
  );
});

// A minute passes until a Secret is read again.
test(
  'another token and another CA are told with what mends them, and once they are right the publishers are heard again',
  { skip: !FULL },
  async () => {
    await publisherAuth(`${PUBLISHER_TOKEN}-of-yesterday`, cas);
    const wrongToken = /refuses mxr.*key token of the Secret in source\.publisherAuth/;
    await refusedFor('both refuse the token', wrongToken, READ_AGAIN_MS);
    const stranger = makeCertificates(join(stage.bench.op.directory, 'stranger'), 'IP:10.0.0.1');
    await publisherAuth(PUBLISHER_TOKEN, [stranger.ca]);
    const strangeCa = /refuses mxr.*key ca\.crt of the Secret in source\.publisherAuth/;
    await refusedFor('neither certificate is trusted', strangeCa, MENDED_MS);
    await publisherAuth(PUBLISHER_TOKEN, cas);
    const heard = (now: Status): boolean => said(now).join() === 'hci-a true true,hci-b true false';
    const { findings } = await stage.statusIs('both publishers are heard again', heard, MENDED_MS);
    assert.ok(!findings.some(({ finding }) => finding === 'PublisherPlainHttp'));
  },
);

test('a planned move to a member that the operator has never seen', async () => {
  const { a, b } = stage.bench;
  await movesUnderWrites(stage, { from: a, to: b, fault: async () => a.planned() });
  await stage.statusIs('the publishers say so too', (now) => said(now).join() === 'hci-a true false,hci-b true true');
  await stage.bench.rejoin(a, 'keep');
});

test('the publishers die: it is told, and what was seen before is enough for a kill -9', async () => {
  const { a, b } = stage.bench;
  await Promise.all(publishers.map(async (publisher) => publisher.kill9()));
  const { findings } = await stage.statusIs('both are said not to answer', (now) =>
    now.source.members.every(({ publisher }) => publisher?.reachable === false),
  );
  const told = findings.filter(({ finding }) => finding === 'PublisherUnreachable');
  assert.deepEqual(
    told.map(({ subject, severity }) => `${subject} ${severity}`),
    ['hci-a warning', 'hci-b warning'],
  );
  await movesUnderWrites(stage, { from: b, to: a, pause: true, fault: async () => b.kill9() });
});
