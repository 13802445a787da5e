import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { request } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { Spec, Status } from '../../../src/api/v1alpha1.ts';
import { systemClock } from '../../../src/clock.ts';
import { isMxrError } from '../../../src/errors.ts';
import { createLogger } from '../../../src/ops/log.ts';
import { createMetrics } from '../../../src/ops/metrics.ts';
import { createProgress } from '../../../src/ops/progress.ts';
import { createSecrets } from '../../../src/ops/secrets.ts';
import { startWeb } from '../../../src/ops/web.ts';
import type { ResourceView, Web, WebOptions } from '../../../src/ops/web.ts';

const SPEC = Spec.parse({
  source: {
    vip: { host: '10.0.0.100' },
    members: [
      { name: 'hci-a', host: '10.0.0.11' },
      { name: 'hci-b', host: 'fd00::b' },
    ],
    credentials: { secretName: 'orders-source' },
  },
  replicas: { selector: { matchLabels: { app: 'orders' } }, credentials: { secretName: 'orders-replica' } },
});

function view(name: string, status: object = {}): ResourceView {
  return { namespace: 'shop', name, spec: SPEC, status: Status.parse(status), observedAt: Date.UTC(2026, 10, 21) };
}

async function start(t: TestContext, changes: Partial<WebOptions> = {}): Promise<Web & { readonly lines: string[] }> {
  const lines: string[] = [];
  const log = createLogger({
    level: 'info',
    clock: systemClock,
    secrets: createSecrets(),
    write: (line) => lines.push(line),
  });
  const web = await startWeb({
    port: 0,
    metrics: createMetrics({ processMetrics: false }),
    resources: () => [view('orders')],
    live: () => ({ ok: true, detail: 'alive' }),
    ready: () => ({ ok: true, detail: 'ready' }),
    leader: () => true,
    clock: systemClock,
    log,
    ...changes,
  });
  t.after(() => web.close());
  return { ...web, lines };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

function get(web: Web, path: string, options: RequestOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port: web.port, path, agent: false, ...options }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        const body = Buffer.concat(parts).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    call.on('error', reject);
    call.end();
  });
}

describe('the web server', () => {
  it('answers the probes with what it is told', async (t) => {
    const web = await start(t, { ready: () => ({ ok: false, detail: 'no list of resources yet' }) });
    const live = await get(web, '/livez');
    const ready = await get(web, '/readyz');
    assert.deepEqual([live.status, live.body], [200, 'alive\n']);
    assert.deepEqual([ready.status, ready.body], [503, 'no list of resources yet\n']);
  });

  it('answers /metrics in the text format', async (t) => {
    const answer = await get(await start(t), '/metrics');
    assert.equal(answer.status, 200);
    assert.match(answer.headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/u);
    assert.match(answer.body, /\nmxr_leader 0\n/u);
  });

  it('shows probes and metrics to everybody, and the page and the API to this host only', async (t) => {
    const web = await start(t);
    // 127.0.0.6 is what Istio's sidecar hands everybody's requests on from.
    const elsewhere = { localAddress: '127.0.0.6' };
    for (const path of ['/livez', '/readyz', '/metrics']) assert.equal((await get(web, path, elsewhere)).status, 200);
    for (const path of ['/', '/api/v1/resources', '/API/v1/resources/', '//', '/?resource=shop/orders']) {
      const answer = await get(web, path, elsewhere);
      assert.ok([403, 404].includes(answer.status), path);
      assert.doesNotMatch(answer.body, /orders/u);
    }
    const forged = { ...elsewhere, headers: { 'x-forwarded-for': '127.0.0.1', forwarded: 'for=127.0.0.1' } };
    assert.equal((await get(web, '/', forged)).status, 403);
    assert.equal((await get(web, '/')).status, 200);
    assert.equal((await get(web, '/api/v1/resources', { headers: { host: 'localhost:8080' } })).status, 200);
  });

  it('refuses a web page that resolves its own name to this host', async (t) => {
    const web = await start(t);
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:8080']) {
      assert.equal((await get(web, '/api/v1/resources', { headers: { host } })).status, 403, host);
    }
  });

  it('answers the API with what the page shows, the worst first', async (t) => {
    const web = await start(t, {
      resources: () => [view('fine', { verdict: 'Following' }), view('bad', { verdict: 'Diverged', holder: 'hci-b' })],
    });
    const { resources } = JSON.parse((await get(web, '/api/v1/resources')).body) as {
      resources: Record<string, unknown>[];
    };
    assert.deepEqual(
      resources.map((one) => one['name']),
      ['bad', 'fine'],
    );
    const { status, ...rest } = resources[0] ?? {};
    assert.equal((status as Record<string, unknown>)['holder'], 'hci-b');
    assert.deepEqual(rest, {
      namespace: 'shop',
      name: 'bad',
      vip: '10.0.0.100:3306',
      members: [
        { name: 'hci-a', address: '10.0.0.11:3306' },
        { name: 'hci-b', address: '[fd00::b]:3306' },
      ],
      handover: 'Auto',
      suspend: false,
      observedAt: '2026-11-21T00:00:00.000Z',
    });
  });

  it('refuses what it does not do', async (t) => {
    const web = await start(t);
    const post = await get(web, '/', { method: 'POST' });
    assert.deepEqual([post.status, post.headers['allow']], [405, 'GET, HEAD']);
    assert.equal((await get(web, '/nothing')).status, 404);
    assert.equal((await get(web, '/?resource=a&resource=b')).status, 400);
    assert.equal((await get(web, '/', { headers: { 'x-long': 'x'.repeat(9000) } })).status, 431);
    assert.equal((await get(web, '/metrics')).headers['x-powered-by'], undefined);
  });

  it('answers 500 without a detail and logs the error when its own code fails', async (t) => {
    const web = await start(t, {
      resources: () => {
        throw new Error('inner detail');
      },
    });
    const answer = await get(web, '/api/v1/resources');
    assert.deepEqual([answer.status, answer.body], [500, 'internal error\n']);
    assert.match(web.lines.join(''), /inner detail.*web request failed/u);
  });

  it('says which port it could not have, and why', async (t) => {
    const web = await start(t);
    await assert.rejects(start(t, { port: web.port }), (error) => {
      assert.ok(isMxrError(error, 'ConfigInvalid'));
      assert.match(error.message, new RegExp(`port ${web.port} \\(MXR_HTTP_PORT\\): another process`, 'u'));
      return true;
    });
  });

  it('cuts off who sends a request a byte at a time', { timeout: 30_000 }, async (t) => {
    const web = await start(t);
    const socket = connect(web.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('GET /livez HTTP/1.1\r\nhost: x\r\n');
    const drip = setInterval(() => socket.write('x: y\r\n'), 500);
    await new Promise((resolve) => {
      socket.on('close', resolve);
      socket.resume();
    });
    clearInterval(drip);
  });

  it('closes although somebody is in the middle of a request', { timeout: 4_000 }, async (t) => {
    const web = await start(t);
    const socket = connect(web.port, '127.0.0.1');
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.write('GET /livez HTTP/1.1\r\n', resolve));
    const closed = new Promise((resolve) => socket.on('close', resolve));
    await web.close();
    await closed;
  });
});

describe('the status page', () => {
  const STATUS = {
    holder: 'hci-a',
    verdict: 'Behind',
    following: '0/1',
    lagSeconds: 7,
    source: {
      situation: 'Stable',
      members: [{ name: 'hci-a', reachable: true, holdsVip: true, file: 'bin.000001', position: 342 }],
    },
    replicas: [
      {
        pod: 'orders-0',
        verdict: 'Behind',
        reason: 'Behind',
        message: '<script>alert("x")</script> & more',
        ready: false,
        serving: false,
        since: '2026-11-21T06:00:00Z',
      },
    ],
    findings: [{ finding: 'VipLink', severity: 'error', subject: 'orders-0', message: 'dials the VIP' }],
    handovers: [
      {
        id: 'h1',
        from: 'hci-b',
        to: 'hci-a',
        trigger: 'VipMoved',
        startedAt: '2026-11-21T06:00:00Z',
        finishedAt: '2026-11-21T06:00:01Z',
        durationMs: 74,
        outcome: 'Completed',
        replicas: [{ pod: 'orders-0', proof: 'Contained', from: {}, to: {}, durationMs: 74 }],
      },
    ],
    conditions: [
      {
        type: 'Ready',
        status: 'False',
        reason: 'Behind',
        message: 'one replica is behind',
        lastTransitionTime: '2026-11-21T06:00:00Z',
      },
    ],
  };

  it('shows holder, members, replicas, findings, conditions and handovers, and escapes all of it', async (t) => {
    const { body } = await get(await start(t, { resources: () => [view('orders', STATUS)] }), '/');
    const shown: readonly string[] = [
      'shop/orders',
      '10.0.0.100:3306',
      'bin.000001:342',
      'dials the VIP',
      'one replica is behind',
    ];
    for (const text of shown) assert.ok(body.includes(text), text);
    assert.match(body, /74 ms/u);
    assert.ok(body.includes('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; more'));
    assert.doesNotMatch(body, /<script/u);
  });

  it('shows of each publisher whether it answers, what it says of the VIP, how old that is, and whether it is believed', async (t) => {
    const hostile = '<img src=x onerror=alert(1)>&"';
    const observedAt = new Date(Date.now() - 42_000).toISOString();
    const members = [
      { name: 'hci-a', reachable: true, publisher: { reachable: true, vipHeld: true, observedAt } },
      { name: 'hci-b', reachable: true, publisher: { reachable: true, vipHeld: false } },
      { name: `hci-c${hostile}`, reachable: true, publisher: { reachable: false, message: `refused: ${hostile}` } },
      { name: 'hci-d', reachable: true },
    ];
    const message = `it says that it runs beside ${hostile}`;
    const findings = [{ finding: 'PublisherDisagrees', severity: 'warning', subject: 'hci-b', message }];
    const resources = () => [view('orders', { source: { situation: 'Stable', members }, findings })];
    const { body } = await get(await start(t, { resources }), '/');
    const table = /Publishers<\/h3>([\s\S]*?)<\/table>/u.exec(body)?.[1] ?? '';
    const cells = [...table.matchAll(/<tr>([\s\S]*?)<\/tr>/gu)].map(([, row = '']) =>
      [...row.matchAll(/<td[^>]*>([\s\S]*?)<\/td>/gu)].map(([, cell = '']) => cell.trim()),
    );
    const escaped = '&lt;img src=x onerror=alert(1)&gt;&amp;&quot;';
    assert.deepEqual(cells.slice(1), [
      ['hci-a', 'answers', 'yes', cells[1]?.[3] ?? '', ''],
      ['hci-b', 'disagrees', 'no', '?', `it says that it runs beside ${escaped}`],
      [`hci-c${escaped}`, 'silent', '?', '?', `refused: ${escaped}`],
    ]);
    assert.match(cells[1]?.[3] ?? '', /^4[234] s ago$/u);
    assert.doesNotMatch(body, /<img/u);
    assert.doesNotMatch((await get(await start(t), '/')).body, /Publishers/u, 'nothing where there is none');
  });

  it('loads nothing, and its policy allows nothing but its own style', async (t) => {
    const { body, headers } = await get(await start(t), '/');
    assert.doesNotMatch(body, /src=|<link|url\(|https?:/u);
    const style = /<style>([\s\S]*)<\/style>/u.exec(body)?.[1] ?? '';
    const hash = createHash('sha256').update(style).digest('base64');
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /^default-src 'none'/u);
    assert.ok(policy.includes(`style-src 'sha256-${hash}'`), policy);
  });

  it('stays readable with a thousand resources, and shows the one that is asked for', async (t) => {
    const many = Array.from({ length: 1000 }, (_, index) => view(`r-${index}`, STATUS));
    const web = await start(t, { resources: () => many });
    const all = await get(web, '/');
    assert.equal(all.body.match(/<h2>/gu)?.length, 50);
    assert.ok(all.body.includes('shop/r-999'));
    const one = await get(web, '/?resource=shop%2Fr-999');
    assert.equal(one.body.match(/<h2>/gu)?.length, 1);
    assert.match((await get(web, '/?resource=<b>')).body, /There is no &lt;b&gt;/u);
  });

  it('says so when there is no resource, or one that could not be read', async (t) => {
    const none = await start(t, { resources: () => [] });
    assert.match((await get(none, '/')).body, /There is no MariaDBExternalReplica here/u);
    const waiting = await start(t, { resources: () => [], leader: () => false });
    assert.match((await get(waiting, '/')).body, /Another process leads/u);
    const unread = await start(t, { resources: () => [{ ...view('broken'), spec: undefined }] });
    assert.equal((await get(unread, '/')).status, 200);
  });
});

describe('progress', () => {
  it('is not ok when the last beat is too long ago', () => {
    let now = 0;
    const progress = createProgress({ monotonicMs: () => now, wallMs: () => 0 }, 1000);
    now = 1000;
    assert.equal(progress.health().ok, true);
    now = 1001;
    assert.deepEqual(progress.health(), {
      ok: false,
      detail: 'the loop made no progress for 1001 ms; 1000 ms are allowed',
    });
    progress.beat();
    assert.equal(progress.health().ok, true);
  });
});
