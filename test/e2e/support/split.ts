import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Status } from '../../../src/api/v1alpha1.ts';
import type { Bench } from '../../support/bench.ts';
import { assertRight } from '../../support/judge.ts';
import { linkState, slaveStatus } from '../../support/link.ts';
import type { Member } from '../../support/member.ts';
import { until } from '../../support/wait.ts';
import { assertBound } from './bound.ts';
import { calm } from './begin.ts';
import { condition } from './moves.ts';
import { allReached, insertAt, remember } from './refusal.ts';
import { NAMESPACE } from './stage.ts';
import type { Stage } from './stage.ts';
import { Telling } from './telling.ts';

/** Three probe intervals of the stage. */
const TURN_MS = 750;

export function allFrozen({ replicas }: Status): boolean {
  return replicas.every(({ verdict }) => verdict === 'Frozen');
}

/** Resolves when both members hold the VIP and are open for writes. */
export async function bothServe({ a, b }: Bench, deadlineMs?: number): Promise<void> {
  await until(
    'both members hold the VIP and are writable',
    async () => (await a.serves()) && (await b.serves()),
    deadlineMs === undefined ? {} : { deadlineMs },
  );
}

/** The members no longer hear each other: both take the address and open for writes. */
export async function split(bench: Bench): Promise<void> {
  await Promise.all([bench.a.cutVrrp(), bench.b.cutVrrp()]);
  await bothServe(bench);
}

/** They hear each other again. */
export async function healed({ a, b }: Bench): Promise<void> {
  await Promise.all([a.healVrrp(), b.healVrrp()]);
}

/** Decides which of two hosts with one address the operator's host talks to; `null` leaves that to the network again. */
export async function seesVipAt({ op, tools, vip }: Bench, member: Member | null): Promise<void> {
  if (member === null) {
    await op.exec([tools.ip, 'neigh', 'del', vip.host, 'dev', 'eth0']);
    return;
  }
  const mac = /link\/ether (\S+)/.exec(await member.host.exec([tools.ip, 'link', 'show', 'eth0']))?.[1] ?? '';
  await op.exec([tools.ip, 'neigh', 'replace', vip.host, 'lladdr', mac, 'nud', 'permanent', 'dev', 'eth0']);
}

/**
 * Shows a sign of the split again and again until the status says that every replica is frozen, which it has to within
 * the detection bound from now on: call it at the moment at which the pair is split.
 */
export async function frozenWithinBound(t: TestContext, stage: Stage, sign: () => Promise<unknown>): Promise<Status> {
  const telling = new Telling(stage);
  const since = performance.now();
  try {
    const { at, status } = await until('the signs of a split freeze every replica', async () => {
      await sign();
      return telling.told.find(({ status: told }) => allFrozen(told));
    });
    assertBound(t, 'every replica is frozen', at - since);
    return status;
  } finally {
    await telling.stop();
  }
}

/** The segment's opinion of who holds the address goes to and fro once: slower than looks come, faster than VRRP moves it. */
export async function toAndFro(bench: Bench): Promise<void> {
  for (const member of [bench.b, bench.a]) {
    await seesVipAt(bench, member);
    await delay(TURN_MS);
  }
}

/** The same, and mxr has seen each turn before the next, until every replica is frozen. */
export async function frozenByTwoHolders(stage: Stage): Promise<Status> {
  const { bench } = stage;
  const seeEachTurn = async () => {
    for (const member of [bench.b, bench.a]) {
      await seesVipAt(bench, member);
      await stage.statusIs(`the VIP is seen on ${member.name}`, ({ holder }) => holder === member.name);
    }
    const seen = await stage.status();
    return allFrozen(seen) && seen;
  };
  return until('an address that goes to and fro freezes every replica', seeEachTurn, { deadlineMs: 60_000 });
}

export async function nobodyReceives({ replicas }: Bench): Promise<void> {
  await until('no replica receives', async () => {
    const links = await Promise.all(replicas.map(({ db }) => slaveStatus(db)));
    return links.every((link) => link?.['Slave_IO_Running'] === 'No');
  });
}

/** Nothing passes between the two hosts, adverts and replication alike; everybody else reaches both. */
export async function cutBetween({ a, b }: Bench): Promise<() => Promise<void>> {
  const heals = [
    await a.host.drop({ direction: 'in', peer: b.address }),
    await b.host.drop({ direction: 'in', peer: a.address }),
  ];
  return async () => {
    for (const heal of heals) await heal();
  };
}

/** The hosts hear each other again, and one of them has the VIP alone. */
export async function oneHolderAgain(bench: Bench, holder: Member, heal: () => Promise<unknown>): Promise<void> {
  await heal();
  await bench.holderIs(holder);
  await seesVipAt(bench, null);
}

/** The replicas follow it again, and nobody had to approve that. `approved`: before. */
export async function endedByProof(
  stage: Stage,
  holder: Member,
  deadlineMs: number,
  approved: Status['approvals'] = [],
): Promise<void> {
  const { source, approvals } = await stage.following(holder.name, deadlineMs);
  assert.equal(source.split, undefined);
  assert.deepEqual(approvals, approved, 'nobody had to approve it');
}

/** Resolves when a server knows that its link to the other one is down. */
export async function linkIsBroken(db: Member['db']): Promise<void> {
  await until(`${db.name} sees that it receives nothing`, async () => !(await linkState(db)).includes('IO=Yes'));
}

/** What is true of every replica while the pair is split. */
export async function assertFrozen({ api, bench }: Stage, status: Status): Promise<void> {
  assert.equal(status.source.situation, 'SplitBrain');
  assert.equal(condition(status, 'SourceUnambiguous'), 'False/SplitBrain');
  assert.equal(status.following, `0/${bench.replicas.length}`);
  assert.ok(
    status.replicas.every(({ serving }) => serving),
    'reads go on',
  );
  await nobodyReceives(bench);
  const serving = await api.list({ api: 'v1', plural: 'pods', namespace: NAMESPACE }, 'mxr.dev/serving=true');
  assert.equal(serving.length, bench.replicas.length, 'every pod stays in the read Service');
}

/** Dual primaries have the same rows, and so have the replicas of this one. */
export async function caughtUp(bench: Bench, holder: Member): Promise<void> {
  const peer = bench.other(holder);
  await insertAt(holder.db, 3);
  await bench.follows(peer.db, holder.db);
  await bench.follows(holder.db, peer.db);
  await allReached(bench, bench.replicas, holder.db);
}

/** Begins to count what a member logs under its own id; the result names it, as its binlog shows it. */
export async function ownFrom({ db }: Member): Promise<() => Promise<readonly string[]>> {
  const { File: file, Position: position } = await db.row('SHOW MASTER STATUS');
  return async () => {
    const events = await db.sql(`SHOW BINLOG EVENTS IN '${file}' FROM ${position}`);
    const gtids = events.flatMap(({ Info: info }) => /GTID (\d+-\d+-\d+)/.exec(info ?? '')?.[1] ?? []);
    return gtids.filter((gtid) => gtid.split('-')[1] === String(db.serverId));
  };
}

/** The status lists exactly these as the members' own: how many, when, how large, the first and the last ten. */
export async function ownListed(stage: Stage, own: ReadonlyMap<Member, readonly string[]>): Promise<void> {
  const wanted = [...own].map(([{ name }, gtids]) => {
    const ends = gtids.length <= 20 ? gtids : [...gtids.slice(0, 10), ...gtids.slice(-10)];
    return `${name} ${gtids.length} ${ends.join()}`;
  });
  const { source } = await stage.statusIs(`each side lists its own: ${wanted.join('; ')}`, ({ source: now }) => {
    const told = [...own.keys()].map(({ name }) => {
      const listed = now.members.find((member) => member.name === name)?.ownTransactions;
      return `${name} ${listed?.count} ${listed?.gtids.join()}${listed?.atLeast === true ? '+' : ''}`;
    });
    return told.join() === wanted.join();
  });
  for (const { name, ownTransactions } of source.members) {
    const { firstAt = '', lastAt = '', bytes = 0, count = 0 } = ownTransactions ?? {};
    assert.ok(firstAt !== '' && firstAt <= lastAt, `${name}: ${firstAt} to ${lastAt}`);
    assert.ok(bytes > 100 * count, `${name}: ${bytes} bytes of ${count}`);
  }
}

/** The whole of a split in which only `hci-a` was written to: frozen while it lasts, resumed by proof. */
export async function wroteOnOneSide(stage: Stage): Promise<void> {
  const { bench } = stage;
  await calm(stage);
  await bench.follows(bench.b.db, bench.a.db);
  await split(bench);
  const status = await frozenByTwoHolders(stage);
  await assertFrozen(stage, status);
  const untouched = await remember(bench.replicas);
  await insertAt(bench.a.db, 3);
  await untouched();

  await healed(bench);
  await seesVipAt(bench, null);
  await bench.holderIs(bench.a);
  const after = await stage.following('hci-a', 60_000);
  assert.equal(after.source.split, undefined);
  assert.deepEqual(after.approvals, []);
  await assertRight(bench, bench.a);
}
