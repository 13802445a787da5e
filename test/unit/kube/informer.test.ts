import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { createKube } from '../../../src/kube/client.ts';
import { startInformer } from '../../../src/kube/informer.ts';
import type { Informer, InformerOptions } from '../../../src/kube/informer.ts';
import type { Pod } from '../../../src/kube/objects.ts';
import { systemTimers } from '../../../src/kube/timers.ts';
import { listBody, podObject, scriptedApi, statusBody } from '../../support/scripted-api.ts';
import type { Script, ScriptedApi, ScriptedCall, ScriptedStream } from '../../support/scripted-api.ts';
import { until } from '../../support/wait.ts';

interface World {
  readonly api: ScriptedApi;
  readonly informer: Informer<Pod>;
  readonly changes: string[];
  readonly errors: unknown[];
  readonly lists: () => number;
  readonly watches: () => readonly ScriptedCall[];
}

async function world(t: TestContext, script: Script, options: Partial<InformerOptions<Pod>> = {}): Promise<World> {
  const api = await scriptedApi(script);
  const kube = createKube(api.kubeConfig(), { requestTimeoutMs: 1500 });
  const changes: string[] = [];
  const errors: unknown[] = [];
  const informer = startInformer<Pod>({
    source: kube.pods('orders'),
    onChange: (key) => changes.push(key),
    onError: (error) => errors.push(error),
    inactivityMs: 10_000,
    resyncMs: 60_000,
    backoff: { baseMs: 10, maxMs: 50 },
    clock: systemClock,
    timers: systemTimers,
    random: () => 0.5,
    ...options,
  });
  t.after(async () => {
    await informer.stop();
    await kube.close();
    await api.close();
  });
  const watches = (): readonly ScriptedCall[] => api.calls.filter((call) => isWatch(call));
  return { api, informer, changes, errors, watches, lists: () => api.calls.length - watches().length };
}

function isWatch(call: ScriptedCall): boolean {
  return call.query.get('watch') === 'true';
}

/** Lists `pods` at version 10; hands each watch to `onWatch`. */
function serving(pods: () => readonly object[], onWatch: (stream: ScriptedStream, nth: number) => void): Script {
  let nth = 0;
  return (call) => {
    if (!isWatch(call)) return call.json(200, listBody('10', pods()));
    nth += 1;
    onWatch(call.stream(), nth);
  };
}

const POD_A = podObject('a', '5');
const POD_B = podObject('b', '6');

describe('informer', () => {
  it('lists, then follows the watch from there', async (t) => {
    const { informer, changes, watches, errors } = await world(
      t,
      serving(
        () => [POD_A, POD_B],
        (stream) => {
          stream.send('MODIFIED', podObject('a', '11'));
          stream.send('ADDED', podObject('c', '12'));
          stream.send('DELETED', podObject('b', '13'));
        },
      ),
    );
    assert.deepEqual([informer.synced, informer.get('orders/a')], [false, undefined]);
    await until('all events are there', () => changes.length === 5);
    assert.deepEqual(changes, ['orders/a', 'orders/b', 'orders/a', 'orders/c', 'orders/b']);
    assert.deepEqual(
      informer.list().map((pod) => [pod.metadata.name, pod.metadata.resourceVersion]),
      [
        ['a', '11'],
        ['c', '12'],
      ],
    );
    assert.equal(informer.synced, true);
    assert.equal(watches()[0]?.query.get('resourceVersion'), '10');
    assert.deepEqual(errors, []);
  });

  it('a quiet watch is opened again from the last version, without a gap and without a list', async (t) => {
    const script = serving(
      () => [POD_A],
      (stream, nth) => {
        if (nth === 1) stream.send('BOOKMARK', { metadata: { resourceVersion: '42' } });
      },
    );
    const { lists, watches, errors } = await world(t, script, { inactivityMs: 50 });
    await until('five watches', () => watches().length >= 5);
    assert.deepEqual([lists(), errors], [1, []]);
    assert.deepEqual(
      watches()
        .slice(0, 3)
        .map((call) => call.query.get('resourceVersion')),
      ['10', '42', '42'],
    );
  });

  it('a watch that the server closes at once is not hammered', async (t) => {
    const { lists, watches, errors } = await world(
      t,
      serving(
        () => [POD_A],
        (stream) => stream.end(),
      ),
    );
    await delay(500);
    assert.ok(watches().length > 2, 'it does try again');
    assert.ok(watches().length < 40, `${watches().length} watches in 0.5 s`);
    assert.deepEqual([lists(), errors], [1, []]);
  });

  it('a watch that brings one event and closes is not hammered either', async (t) => {
    const script = serving(
      () => [POD_A],
      (stream, nth) => {
        stream.send('MODIFIED', podObject('a', String(10 + nth)));
        stream.end();
      },
    );
    const { watches } = await world(t, script);
    await delay(500);
    assert.ok(watches().length < 40, `${watches().length} watches in 0.5 s`);
  });

  for (const [name, refuse] of [
    ['HTTP 410', (call: ScriptedCall) => call.json(410, statusBody(410, 'Expired', 'too old'))],
    ['in-stream 410', (call: ScriptedCall) => call.stream().send('ERROR', statusBody(410, 'Expired', 'too old'))],
    ['503', (call: ScriptedCall) => call.json(503, statusBody(503, 'ServiceUnavailable', 'later'))],
    ['a line that is not JSON', (call: ScriptedCall) => call.stream().raw('<html>\n')],
    ['a cut connection', (call: ScriptedCall) => call.cut()],
    ['headers that never come', () => undefined],
  ] as const) {
    it(`${name} on the watch: tells, lists again, and goes on`, async (t) => {
      let pods: readonly object[] = [POD_A, POD_B];
      let nth = 0;
      const { informer, changes, errors, lists } = await world(t, (call) => {
        if (!isWatch(call)) return call.json(200, listBody('10', pods));
        nth += 1;
        if (nth > 1) return void call.stream();
        // What happens while nobody watches: b is deleted, a is changed.
        pods = [podObject('a', '9')];
        refuse(call);
      });
      await until('the second list', () => lists() === 2);
      await until('the changes of the gap', () => changes.length === 4);
      assert.deepEqual(changes.slice(2), ['orders/a', 'orders/b']);
      assert.equal(informer.get('orders/b'), undefined);
      assert.equal(errors.length, 1);
    });
  }

  it('a list that fails or never answers is tried again', async (t) => {
    let nth = 0;
    const { informer, errors } = await world(t, (call) => {
      nth += 1;
      if (nth === 1) call.json(503, statusBody(503, 'ServiceUnavailable', 'later'));
      else if (nth === 3) call.json(200, { not: 'a list' });
      else if (nth > 3)
        serving(
          () => [POD_A],
          () => undefined,
        )(call, nth);
    });
    await until('it is synced', () => informer.synced);
    assert.equal(errors.length, 3);
    assert.match(String(errors[1]), /no answer within 1500 ms/u);
  });

  it('failing watches are retried with a growing delay', async (t) => {
    const script: Script = (call) =>
      isWatch(call) ? call.json(503, statusBody(503, 'no', '')) : call.json(200, listBody('10', []));
    const { lists } = await world(t, script, { backoff: { baseMs: 50, maxMs: 10_000 } });
    // 37, 75, 150, 300, 600 ms: at most five lists within one second.
    await delay(1_000);
    assert.ok(lists() >= 3 && lists() <= 6, `${lists()} lists in 1 s`);
  });

  it('lists everything again after the resync time, though the watch is well, and finds what the watch missed', async (t) => {
    let pods: readonly object[] = [POD_A];
    const script = serving(
      () => pods,
      (stream) => {
        const timer = setInterval(
          () =>
            stream.closed ? clearInterval(timer) : stream.send('BOOKMARK', { metadata: { resourceVersion: '10' } }),
          20,
        );
        pods = [POD_A, POD_B];
      },
    );
    const { lists, changes, informer, watches } = await world(t, script, { resyncMs: 300 });
    await until('the second list', () => lists() >= 2 && informer.list().length === 2);
    assert.deepEqual(changes, ['orders/a', 'orders/b'], 'only what is new');
    assert.equal(watches()[0]?.query.get('timeoutSeconds'), '1');
  });

  it('a handler that throws harms nobody', async (t) => {
    const { informer, errors } = await world(
      t,
      serving(
        () => [POD_A, POD_B],
        () => undefined,
      ),
      {
        onChange: () => {
          throw new Error('handler');
        },
      },
    );
    await until('both were told', () => errors.length === 2);
    assert.equal(informer.list().length, 2);
  });

  it('stop during a watch is silent, leaves no connection, and nothing is told afterwards', async (t) => {
    let open: ScriptedStream | undefined;
    const { api, informer, changes, errors } = await world(
      t,
      serving(
        () => [POD_A],
        (stream) => {
          open = stream;
        },
      ),
    );
    await until('the watch is open', () => open !== undefined);
    const stopped = informer.stop();
    open?.send('MODIFIED', podObject('a', '11'));
    await stopped;
    await until('the watch is closed', () => api.connections().open <= 1);
    assert.equal(open?.closed, true);
    assert.deepEqual([changes, errors], [['orders/a'], []]);
  });

  it('stop from within a handler tells nothing more', async (t) => {
    const changes: string[] = [];
    const { informer } = await world(
      t,
      serving(
        () => [POD_A, POD_B],
        () => undefined,
      ),
      {
        onChange: (key) => {
          changes.push(key);
          void informer.stop();
        },
      },
    );
    await until('the list has been seen', () => informer.synced);
    await informer.stop();
    assert.deepEqual(changes, ['orders/a']);
  });

  it('stop during the list opens no watch', async (t) => {
    let answer: () => void = () => undefined;
    const { api, informer, errors, watches } = await world(t, (call) => {
      answer = () => call.json(200, listBody('10', [POD_A]));
    });
    await until('the list is asked for', () => api.calls.length === 1);
    const stopped = informer.stop();
    answer();
    await stopped;
    await delay(50);
    assert.deepEqual([watches().length, informer.synced, errors], [0, false, []]);
  });

  it('stop during a backoff ends at once', async (t) => {
    const script: Script = (call) => call.json(503, statusBody(503, 'no', ''));
    const { informer, errors } = await world(t, script, { backoff: { baseMs: 600_000, maxMs: 600_000 } });
    await until('the first failure', () => errors.length === 1);
    await informer.stop();
  });
});
