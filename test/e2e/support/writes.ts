import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { exchange } from '../../support/kube/rest.ts';
import { ADMIN_USER } from '../../support/kube/servers.ts';
import { monotonicMs } from '../../support/monotonic.ts';
import { until } from '../../support/wait.ts';
import type { Stage } from './stage.ts';

/** What mxr tells of a resource: its status, events, and the labels of its pods. Leases are renewed all the time. */
const TELLING = ['mariadbexternalreplicas', 'pods', 'events'];
const WRITING = ['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE'];
const SETTLED_MS = 3_000;
const SETTLED_DEADLINE_MS = 60_000;

/** Every write of these that the API server was asked for so far, by kind, from its own metrics. */
async function writesAsked(stage: Stage): Promise<ReadonlyMap<string, number>> {
  const { text } = await exchange(stage.api.as(ADMIN_USER), { method: 'GET', path: '/metrics', deadlineMs: 30_000 });
  const asked = new Map<string, number>();
  for (const line of text.split('\n').filter((one) => one.startsWith('apiserver_request_total{'))) {
    const labels = Object.fromEntries([...line.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
    const { verb = '', resource = '', subresource = '' } = labels;
    if (!TELLING.includes(resource) || !WRITING.includes(verb)) continue;
    const kind = `${verb} ${resource}${subresource === '' ? '' : `/${subresource}`}`;
    asked.set(kind, (asked.get(kind) ?? 0) + Number(line.slice(line.lastIndexOf(' '))));
  }
  const seen = [...asked.keys()].join();
  for (const resource of TELLING) assert.ok(seen.includes(resource), `none of ${resource} was ever counted: ${seen}`);
  return asked;
}

/** The writes of this time, by kind, once there were none for a moment. Nobody else may write meanwhile. */
export async function writesDuring(stage: Stage, forMs: number): Promise<ReadonlyMap<string, number>> {
  const before = await settled(stage);
  await delay(forMs);
  const after = await writesAsked(stage);
  const more = [...after].map(([kind, count]) => [kind, count - (before.get(kind) ?? 0)] as const);
  return new Map(more.filter(([, count]) => count > 0));
}

async function settled(stage: Stage): Promise<ReadonlyMap<string, number>> {
  let last = { asked: await writesAsked(stage), since: monotonicMs() };
  return until(
    'what happened has been told',
    async () => {
      const asked = await writesAsked(stage);
      if (sum(asked) !== sum(last.asked)) last = { asked, since: monotonicMs() };
      return monotonicMs() - last.since >= SETTLED_MS && asked;
    },
    { deadlineMs: SETTLED_DEADLINE_MS, intervalMs: 500 },
  );
}

export function sum(writes: ReadonlyMap<string, number>): number {
  return [...writes.values()].reduce((total, count) => total + count, 0);
}
