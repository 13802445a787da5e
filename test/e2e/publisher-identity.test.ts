import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import { fetchCoordinates } from '../../src/publisher/client.ts';
import type { Certificates } from '../support/certificates.ts';
import { makeCertificates } from '../support/certificates.ts';
import { assertRight } from '../support/judge.ts';
import type { Member } from '../support/member.ts';
import { movesUnderWrites } from './support/moves.ts';
import { PUBLISHER_PORT, PUBLISHER_TOKEN, PublisherProcess, publishing } from './support/publisher-process.ts';
import { allReached, remember } from './support/refusal.ts';
import { NAMESPACE, Stage } from './support/stage.ts';

const FULL = process.env['MXR_FULL'] === '1';

// Only the VIP and the publishers are routed: the operator reaches no MariaDB of a member by its own address, and has no `match`.
let stage: Stage;
let publishers: readonly PublisherProcess[] = [];
const certificates = new Map<string, Certificates>();
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
  for (const { name, address, host } of bench.members) {
    const certificate = makeCertificates(join(host.directory, 'certificates'), `IP:${address}`);
    certificates.set(name, certificate);
    cas.push(certificate.ca);
  }
  publishers = await Promise.all(bench.members.map(started));
  await Promise.all(publishers.map(async (publisher) => publisher.says('listening to keepalived')));
  await publisherAuth(PUBLISHER_TOKEN, cas);
  await stage.startOperator();
});
after(async () => {
  await Promise.all(publishers.map(async (publisher) => publisher.kill9()));
  await stage.close();
});

async function started(member: Member): Promise<PublisherProcess> {
  return PublisherProcess.start(stage.bench, member, certificates.get(member.name));
}

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

/** The spec of a resource whose members have their publishers at these places. */
function publishersAt(urls: Readonly<Record<string, string>>): Record<string, unknown> {
  const members = stage.bench.members.map(({ name, address }) => {
    return { name, host: address, publisher: { url: urls[name] } };
  });
  return { members, publisherAuth: { secretName: 'orders-publisher' } };
}

/** Nobody is taken for the holder, for this reason, and nobody's link is moved, stopped or fed anything else. */
async function frozenFor(what: string, why: RegExp, untouched: () => Promise<void>): Promise<void> {
  const { holder, replicas } = await stage.statusIs(
    what,
    ({ source, replicas: all }) =>
      source.situation === 'HolderUnknown' &&
      why.test(source.message) &&
      all.every(({ verdict }) => verdict === 'Frozen'),
    60_000,
  );
  assert.deepEqual([holder, replicas.length], ['', stage.bench.replicas.length]);
  await untouched();
}

test('publishers at swapped URLs, and one that replays old answers, name no holder after a move, and the truth does', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await bench.rejoin(b, 'keep');
  publishers = await Promise.all(bench.members.map(started));
  const [atA, atB] = [a, b].map(({ address }) => `https://${address}:${PUBLISHER_PORT}`);
  assert.ok(atA !== undefined && atB !== undefined);
  await stage.following(a.name);
  await allReached(bench, bench.replicas, a.db);
  const ask = (url: string) =>
    fetchCoordinates({ name: url, url, token: PUBLISHER_TOKEN, ca: cas.join('\n') }, { deadlineMs: 5_000 });
  const [ofA, ofB] = [await ask(atA), await ask(atB)];
  assert.deepEqual([ofA.vipHeld, ofB.vipHeld], [true, false]);
  const untouched = await remember(bench.replicas);

  // The server of b was started anew since the operator has seen it: nothing but a publisher can name it.
  await stage.patchSpec({ source: publishersAt({ [a.name]: atB, [b.name]: atA }) });
  await stage.statusIs('each is said to run beside the other', ({ findings }) => {
    return findings.filter(({ finding }) => finding === 'PublisherDisagrees').length === 2;
  });
  await a.planned();
  await bench.holderIs(b);
  await frozenFor(
    'swapped, they name nobody',
    /publisher of hci-a .*runs beside hci-b.*publisher\.url of hci-a/,
    untouched,
  );

  await Promise.all(publishers.map(async (publisher) => publisher.kill9()));
  await stage.patchSpec({ source: publishersAt({ [a.name]: atA.replace('https', 'http'), [b.name]: atB }) });
  publishers = [await PublisherProcess.lying(a, { ...ofB, vipHeld: true })];
  await frozenFor('an old answer of the other', /publisher of hci-a .*runs beside hci-b/, untouched);
  await publishers[0]?.kill9();
  publishers = [await PublisherProcess.lying(a, ofA)];
  await frozenFor('an old answer of its own', /publisher of hci-a .*speaks of another server.*server_id 1,/, untouched);
  const right = await started(b);
  publishers = [...publishers, right];
  await frozenFor('both claim the VIP', /publishers of hci-a and hci-b each say/, untouched);

  await publishers[0]?.kill9();
  publishers = [right, await started(a)];
  await stage.patchSpec({ source: publishing(bench, 'https') });
  await stage.following(b.name, 60_000);
  await assertRight(bench, b);
});
