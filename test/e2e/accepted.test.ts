import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { slaveStatus } from '../support/link.ts';
import type { Member } from '../support/member.ts';
import {
  RESOURCES,
  acceptedOf,
  accepts,
  checkAnew,
  createResource,
  onAll,
  passes,
  refuses,
  specReplicas,
  statementOf,
} from './support/accepting.ts';
import { remember } from './support/refusal.ts';
import { NAME, NAMESPACE, Stage } from './support/stage.ts';
import { metricsOf } from './support/telling.ts';

const FULL = process.env['MXR_FULL'] === '1';
const POD = { api: 'v1', plural: 'pods', namespace: NAMESPACE, name: 'r2' };
/** A Secret, or a grant, that was good when the resource was accepted. */
const BROKEN_LATER_MS = 62_500;
const WRONG = 'wrong-5d1f0a77c3e94b';
const ROTATED = 'rotated-8be20c4417a9';
let stage: Stage;

before(async () => {
  // At its most talkative, for the secrets that nothing may show.
  stage = await Stage.open({ operator: { env: { MXR_LOG_LEVEL: 'debug' } } });
  await stage.startOperator();
  await stage.createResource();
  await stage.following('hci-a', 60_000);
});
after(async () => stage.close());

test('a Secret: missing, without a key, with a wrong password, right', async (t) => {
  const { api, bench } = stage;
  const untouched = await remember(bench.replicas);
  const { look, replication } = bench.accounts;
  const secret = async (data: Record<string, string>): Promise<void> => api.createSecret(NAMESPACE, 'fresh', data);
  const refused = async (
    reason: 'SecretMissing' | 'SecretKeyMissing' | 'AccessDenied',
    provoke: () => Promise<unknown>,
  ): Promise<string> => refuses(stage, t, { reason, provoke });

  const missing = await refused('SecretMissing', async () =>
    stage.patchSpec({ source: { credentials: { secretName: 'fresh' } } }),
  );
  assert.match(missing, /Secret fresh \(source\.credentials\) does not exist; create it with username, password, repl/);

  const data = {
    username: look.user,
    password: WRONG,
    replicationUsername: replication.user,
    replicationPassword: replication.password,
  };
  const { replicationPassword, ...partial } = data;
  const lacks = await refused('SecretKeyMissing', async () => secret(partial));
  assert.match(lacks, /Secret fresh \(source\.credentials\) lacks replicationPassword; add it/);

  const denied = await refused('AccessDenied', async () => secret({ ...data, replicationPassword }));
  assert.match(denied, /member hci-a \(.*\) refuses the account 'mxr_look' of Secret fresh/);
  assert.match(denied, /correct the Secret, or the account on that server/);

  await untouched();
  await accepts(stage, t, async () => secret({ ...data, password: look.password }));
  await untouched();
  await stage.patchSpec({ source: { credentials: { secretName: 'orders-source' } } });
  await accepts(stage, t, async () =>
    api.remove({ api: 'v1', plural: 'secrets', namespace: NAMESPACE, name: 'fresh' }),
  );
});

test('AccessDenied: the password is changed on the servers', async (t) => {
  const { a, accounts } = stage.bench;
  const { user, password } = accounts.look;
  const change = async (to: string): Promise<unknown> => a.db.sql("SET PASSWORD FOR ?@'%' = PASSWORD(?)", [user, to]);
  const provoke = async (): Promise<unknown> => change(ROTATED);
  const message = await refuses(stage, t, { reason: 'AccessDenied', provoke, meanwhile: 'Judged' });
  assert.match(message, /refuses the account 'mxr_look' of Secret orders-source/);
  await accepts(stage, t, async () => change(password));
});

test('GrantMissing: each account, with the grant and the statement that gives it', async (t) => {
  const { a, accounts, replicas } = stage.bench;
  const on = async (statement: string): Promise<unknown> => a.db.sql(statement);
  const lacking = async (revoke: () => Promise<unknown>): Promise<string> => {
    const provoke = async (): Promise<void> => {
      await revoke();
      await checkAnew(stage);
    };
    return refuses(stage, t, { reason: 'GrantMissing', provoke, meanwhile: 'Judged' });
  };
  const look = await lacking(async () => on(`REVOKE PROCESS ON *.* FROM ${accounts.look.user}@'%'`));
  assert.match(look, /the account 'mxr_look'@'%' of Secret orders-source lacks PROCESS on member hci-a/);
  await accepts(stage, t, async () => on(statementOf(look)));

  const { user } = accounts.replication;
  const replication = await lacking(async () => on(`REVOKE REPLICATION SLAVE ON *.* FROM ${user}@'%'`));
  assert.match(replication, /'mxr_repl'@'%' of Secret orders-source lacks REPLICATION SLAVE on member hci-a/);
  await accepts(stage, t, async () => on(statementOf(replication)));

  const replica = await lacking(async () =>
    onAll(replicas, `SET sql_log_bin = 0; REVOKE BINLOG MONITOR ON *.* FROM ${accounts.replica.user}@'%'`),
  );
  assert.match(replica, /'mxr_replica'@'%' of Secret orders-replica lacks BINLOG MONITOR on replica r1/);
  assert.match(replica, /run there: SET SESSION sql_log_bin = 0; GRANT/);
  await accepts(stage, t, async () => onAll(replicas, `SET SESSION sql_log_bin = 0; ${statementOf(replica)}`));
});

test('a grant and a Secret that go after they were accepted', { skip: !FULL }, async (t) => {
  const { api, bench } = stage;
  const { user, password } = bench.accounts.replica;
  const message = await refuses(stage, t, {
    reason: 'GrantMissing',
    provoke: async () => bench.a.db.sql("REVOKE REPLICATION SLAVE ON *.* FROM mxr_repl@'%'"),
    boundMs: BROKEN_LATER_MS,
  });
  await accepts(stage, t, async () => bench.a.db.sql(statementOf(message)));
  const secret = { api: 'v1', plural: 'secrets', namespace: NAMESPACE, name: 'orders-replica' };
  const gone = await refuses(stage, t, {
    reason: 'SecretMissing',
    provoke: async () => api.remove(secret),
    boundMs: BROKEN_LATER_MS,
  });
  assert.match(gone, /Secret orders-replica \(replicas\.credentials\) does not exist/);
  await accepts(stage, t, async () => api.createSecret(NAMESPACE, 'orders-replica', { username: user, password }));
});

test('HostUnresolved: a name that nobody knows, then the address', async (t) => {
  const { a, b } = stage.bench;
  const members = (host: string): unknown => ({
    source: {
      members: [
        { name: a.name, host },
        { name: b.name, host: b.address },
      ],
    },
  });
  const message = await refuses(stage, t, {
    reason: 'HostUnresolved',
    provoke: async () => stage.patchSpec(members('hci-a.nowhere.invalid')),
  });
  assert.match(message, /hci-a\.nowhere\.invalid \(member hci-a\) does not resolve .*write the IP address/);
  await accepts(stage, t, async () => stage.patchSpec(members(a.address)));
});

test('TlsRefused: TLS is required of members, then of replicas, that have none', async (t) => {
  for (const [section, who] of [
    ['source', 'member hci-a'],
    ['replicas', 'replica r1'],
  ] as const) {
    const mode = async (to: string): Promise<unknown> => stage.patchSpec({ [section]: { tls: { mode: to } } });
    const message = await refuses(stage, t, { reason: 'TlsRefused', provoke: async () => mode('Required') });
    assert.match(message, new RegExp(`${who} .*correct ${section}\\.tls, or the server's certificate`));
    await accepts(stage, t, async () => mode('Preferred'));
  }
});

test('UnsupportedServer: a member that says it is something else', async (t) => {
  const { b } = stage.bench;
  const { version } = await b.db.row('SELECT @@version AS version');
  const message = await refuses(stage, t, {
    reason: 'UnsupportedServer',
    provoke: async () => {
      await b.db.restart({ version: '8.0.36' });
      await checkAnew(stage);
    },
  });
  assert.match(message, /member hci-b \(.*\) is 8\.0\.36.*; mxr follows MariaDB 10\.5 or later/);
  await accepts(stage, t, async () => b.db.restart({ version: version ?? '' }));
});

test('NotImplemented: every field is named', async (t) => {
  const message = await refuses(stage, t, {
    reason: 'NotImplemented',
    provoke: async () =>
      stage.patchSpec({
        policy: { onGap: 'Reseed', onDivergence: 'Reseed', onPurged: 'Reseed' },
        link: { positioning: 'FilePosition', through: 'VIP' },
        reseed: { method: 'Dump', from: 'Sibling', bandwidthLimit: '10M', salvage: { pvc: 'rest' } },
      }),
  });
  const fields = [
    'policy.onGap: Reseed, policy.onDivergence: Reseed, policy.onPurged: Reseed',
    'link.positioning: FilePosition with link.through: VIP',
    'reseed.method, reseed.from, reseed.bandwidthLimit, reseed.salvage.pvc',
  ].flatMap((line) => line.split(', '));
  for (const field of fields) assert.ok(message.includes(field), `${field} is named in: ${message}`);
  assert.match(message, /remove it from the spec$/);
  await accepts(stage, t, async () => stage.patchSpec({ policy: null, link: null, reseed: null }));
});

test('publishers: the token is checked as other Secrets are; one that nobody runs is a finding, and no refusal', async (t) => {
  const { api, bench } = stage;
  const at = ({ name, address: host }: Member) => ({ name, host, publisher: { url: `http://${host}:9480` } });
  const spec = { source: { members: bench.members.map(at), publisherAuth: { secretName: 'orders-publisher' } } };
  const missing = await refuses(stage, t, { reason: 'SecretMissing', provoke: async () => stage.patchSpec(spec) });
  assert.match(missing, /Secret orders-publisher \(source\.publisherAuth\) does not exist; create it with token/);
  await accepts(stage, t, async () => api.createSecret(NAMESPACE, 'orders-publisher', { token: `${WRONG}\n` }));
  const { findings, source } = await stage.statusIs('both are said not to answer', (now) =>
    now.source.members.every(({ publisher }) => publisher?.reachable === false),
  );
  assert.match(source.members[0]?.publisher?.message ?? '', /publisher of hci-a/);
  const told = findings.filter(({ finding }) => finding.startsWith('Publisher'));
  assert.deepEqual(
    told.map(({ finding, severity, subject }) => `${finding} ${severity} ${subject}`),
    bench.members.flatMap(({ name }) => [`PublisherUnreachable warning ${name}`, `PublisherPlainHttp warning ${name}`]),
  );
  const without = bench.members.map(({ name, address: host }) => ({ name, host }));
  await stage.patchSpec({ source: { members: without, publisherAuth: null } });
  await stage.statusIs('nothing is said of publishers', (now) =>
    now.source.members.every(({ publisher }) => publisher === undefined),
  );
  await api.remove({ api: 'v1', plural: 'secrets', namespace: NAMESPACE, name: 'orders-publisher' });
});

test('NotImplemented: a StatefulSet of its own', async () => {
  const { selector: _, ...replicas } = await specReplicas(stage);
  await createResource(stage, 'own', {
    ...replicas,
    statefulSet: { replicas: 1, image: 'mariadb:10.11', storage: { size: '1Gi' } },
  });
  const message = await acceptedOf(stage, 'own', 'False/NotImplemented');
  assert.match(message, /replicas\.statefulSet/);
  await stage.api.remove({ ...RESOURCES, name: 'own' });
});

test('NoReplicaSelected: the selector matches nothing, then the pods again', async (t) => {
  const select = async (app: string): Promise<unknown> =>
    stage.patchSpec({ replicas: { selector: { matchLabels: { app } } } });
  const message = await refuses(stage, t, { reason: 'NoReplicaSelected', provoke: async () => select('nobody') });
  assert.match(message, /replicas\.selector \(app=nobody\) matches no pod in namespace mxr; label the replicas' pods/);
  await accepts(stage, t, async () => select('orders-replica'));
});

test('SelectedTwice: neither acts, until one of them is gone', async (t) => {
  const { bench } = stage;
  const [r1] = bench.replicas;
  assert.ok(r1);
  const message = await refuses(stage, t, {
    reason: 'SelectedTwice',
    provoke: async () => createResource(stage, 'rival', await specReplicas(stage)),
  });
  assert.match(message, /pod r1 is also selected by mxr\/rival; neither resource acts until one of the selectors/);
  const rivals = await acceptedOf(stage, 'rival', 'False/SelectedTwice');
  assert.match(rivals, new RegExp(`also selected by ${NAMESPACE}/${NAME}`));
  const receiving = async (): Promise<unknown> => (await slaveStatus(r1.db))?.['Slave_IO_Running'];
  // What mxr mends as soon as it may.
  await r1.db.sql('STOP SLAVE IO_THREAD');
  const untouched = await remember(bench.replicas);
  await passes(stage, 10);
  await untouched();
  assert.equal(await receiving(), 'No');
  await accepts(stage, t, async () => stage.api.remove({ ...RESOURCES, name: 'rival' }));
  assert.equal(await receiving(), 'Yes');
});

test('ManagedByOther: by its owner, by its label', async (t) => {
  const owner = {
    apiVersion: 'k8s.mariadb.com/v1alpha1',
    kind: 'MariaDB',
    name: 'db',
    uid: 'a9c8c7f0-1111-4222-8333-0123456789ab',
  };
  const owned = await refuses(stage, t, {
    reason: 'ManagedByOther',
    provoke: async () => stage.api.patch(POD, { metadata: { ownerReferences: [owner] } }),
  });
  assert.match(
    owned,
    /replication of pod r2 is managed by mariadb-operator, as its owner MariaDB db .* shows; select pods/,
  );
  await accepts(stage, t, async () => stage.api.patch(POD, { metadata: { ownerReferences: [] } }));

  const label = 'app.kubernetes.io/managed-by';
  const labelled = await refuses(stage, t, {
    reason: 'ManagedByOther',
    provoke: async () => stage.api.patch(POD, { metadata: { labels: { [label]: 'moco' } } }),
  });
  assert.match(labelled, /pod r2 is managed by MOCO, as its label app\.kubernetes\.io\/managed-by shows; select pods/);
  await accepts(stage, t, async () => stage.api.patch(POD, { metadata: { labels: { [label]: null } } }));
});

test('no secret was shown: not in a log line, an event, a status, a metric', async () => {
  const { api, bench, operator } = stage;
  const objects = 'mxr,events.v1.events.k8s.io,pods,leases,configmaps,deployments,services';
  const shown: Record<string, string> = {
    'the log': operator.lines.join('\n'),
    'the objects': await api.kubectl(['get', objects, '-A', '-o', 'json', '--show-managed-fields']),
    'the metrics': [...(await metricsOf(stage)).keys()].join('\n'),
  };
  assert.match(shown['the log'] ?? '', /"message":"handover ended"/);
  assert.match(shown['the objects'] ?? '', /AccessDenied: .* refuses the account/);
  const passwords = [...Object.values(bench.accounts).map(({ password }) => password), WRONG, ROTATED];
  for (const password of passwords) {
    // The random part is the same in every way of quoting.
    const core = /[0-9a-f]{12,}/.exec(password)?.[0] ?? password;
    for (const [where, text] of Object.entries(shown)) {
      const found = [password, core, Buffer.from(password).toString('base64')].filter((form) => text.includes(form));
      assert.deepEqual(found, [], where);
    }
  }
});
