import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Reason } from '../../src/api/reasons.ts';
import type { Replica } from '../support/bench.ts';
import type { Certificates } from '../support/certificates.ts';
import { makeCertificates } from '../support/certificates.ts';
import { judge } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import { sandboxDirectory } from '../support/sandbox.ts';
import { Writer } from '../support/writer.ts';
import { begin, calm } from './support/begin.ts';
import { condition } from './support/moves.ts';
import type { Stage } from './support/stage.ts';

const ADDRESSES = 'IP:10.77.0.11,IP:10.77.0.12';
/** The link notices a silent network after slave_net_timeout (8 s), and gives up a connection after as long again. */
const NOTICED_MS = 60_000;

// What is wrong lies between one replica and the holder: nothing is wrong with its position, nor with the others.
let stage: Stage;
let r1: Replica;
let certificates: Certificates;

before(async () => {
  certificates = makeCertificates(join(sandboxDirectory() ?? '', 'tls'), ADDRESSES);
  stage = await begin({
    bench: { server: certificates.server },
    // By Auto a replica that cannot reach the member would be led through the VIP.
    spec: { link: { through: 'Member', tls: { mode: 'VerifyCA', caFile: certificates.server['ssl-ca'] } } },
  });
  const [first] = stage.bench.replicas;
  assert.ok(first);
  r1 = first;
  await calm(stage);
  const link = await slaveStatus(r1.db);
  assert.deepEqual([link?.['Master_SSL_Allowed'], link?.['Master_SSL_Verify_Server_Cert']], ['Yes', 'Yes']);
});
after(async () => stage.close());

test('the holder refuses the account of one replica: LinkAuthentication, and Following once it lets it in', async () => {
  const { a, accounts } = stage.bench;
  const { user } = accounts.replication;
  // Of two accounts the server takes the one that names the host.
  const account = [user, r1.host.address];
  await a.db.sql("SET sql_log_bin=0; CREATE USER ?@? IDENTIFIED BY 'another'", account);
  await reconnect();

  await isBroken('LinkAuthentication', /cannot connect: 1045 .*Access denied/);

  await a.db.sql('SET sql_log_bin=0; DROP USER ?@?', account);
  await followsAgain();
});

test('the holder cannot be reached from one replica: LinkNetwork, and Following once it can', async () => {
  const { a } = stage.bench;
  const heal = await r1.host.drop({ direction: 'in', peer: a.address });

  await isBroken('LinkNetwork', /cannot connect: 20\d\d /);

  await heal();
  await followsAgain();
});

test('the certificate of the holder is not trusted any more: LinkTls, and Following once it is', async () => {
  const { a } = stage.bench;
  const others = makeCertificates(join(sandboxDirectory() ?? '', 'tls-of-others'), ADDRESSES);
  const own = makeCopy('tls-kept', certificates);
  present(others);
  await a.db.sql('FLUSH SSL');
  // The replica goes on trusting the authority that it was told of.
  copyFileSync(own['ssl-ca'], certificates.server['ssl-ca']);
  await reconnect();

  await isBroken('LinkTls', /cannot connect: 2026 .*(SSL|TLS)/);

  present({ server: own });
  await a.db.sql('FLUSH SSL');
  await followsAgain();
});

/** Ends the connection of r1, so that it has to come again. */
async function reconnect(): Promise<void> {
  const { db } = stage.bench.a;
  const dumps = await db.sql(
    "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%' AND host LIKE ?",
    [`${r1.host.address}:%`],
  );
  assert.notEqual(dumps.length, 0);
  for (const { id } of dumps) await db.sql(`KILL ${id}`);
}

async function isBroken(reason: Reason, message: RegExp): Promise<void> {
  const status = await stage.statusIs(
    `the link of r1 is broken with ${reason}`,
    ({ replicas, following }) =>
      replicas[0]?.reason === reason && message.test(replicas[0].message) && following === '2/3',
    NOTICED_MS,
  );
  const [told, ...others] = status.replicas;
  assert.equal(told?.verdict, 'LinkBroken');
  assert.deepEqual(
    [told.ready, told.serving],
    [false, true],
    'what it has are rows of the source, of an earlier moment',
  );
  assert.deepEqual(
    others.map(({ verdict }) => verdict),
    ['Following', 'Following'],
  );
  assert.equal(status.source.situation, 'Stable');
  assert.equal(condition(status, 'Ready'), 'False/LinkBroken');
  assert.match(condition(status, 'ReplicasIntact'), /^True\//);
  const writer = new Writer(stage.bench);
  await writer.writes(50, 'hci-a');
  await writer.stop();
  const judgements = await judge(stage.bench, stage.bench.a, { replicas: stage.bench.replicas.slice(1) });
  assert.deepEqual(
    judgements.flatMap(({ findings }) => findings),
    [],
  );
  assert.equal((await stage.status()).replicas[0]?.reason, reason, 'it stays so');
}

async function followsAgain(): Promise<void> {
  await stage.following('hci-a', NOTICED_MS);
  const judgements = await judge(stage.bench, stage.bench.a);
  assert.deepEqual(
    judgements.flatMap(({ findings }) => findings),
    [],
  );
}

type Files = Certificates['server'];
const FILES = ['ssl-ca', 'ssl-cert', 'ssl-key'] as const;

function makeCopy(name: string, { server }: Pick<Certificates, 'server'>): Files {
  const { server: copy } = makeCertificates(join(sandboxDirectory() ?? '', name), ADDRESSES);
  for (const file of FILES) copyFileSync(server[file], copy[file]);
  return copy;
}

/** Puts these files where the members have theirs; a server reads them at FLUSH SSL. */
function present({ server }: Pick<Certificates, 'server'>): void {
  for (const file of FILES) copyFileSync(server[file], certificates.server[file]);
}
