import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isMxrError } from '../../../src/errors.ts';
import { createElector } from '../../../src/kube/leader.ts';
import type { ElectorOptions, Leadership } from '../../../src/kube/leader.ts';
import { LeaseServer, SMOOTH } from '../../model/kube/lease-server.ts';
import { VirtualProcess, VirtualTime } from '../../model/kube/virtual-time.ts';

const TIMES = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 };

class World {
  readonly time = new VirtualTime();
  readonly server = new LeaseServer(this.time);
  readonly errors: unknown[] = [];
  nth = 0;

  candidate(identity: string, times = TIMES): Candidate {
    return new Candidate(this, identity, times);
  }

  async wait(ms: number): Promise<void> {
    await this.time.runUntil(this.time.nowMs + ms);
  }
}

/** A process that wants to lead: holds its terms, newest first. */
class Candidate {
  readonly process: VirtualProcess;
  readonly terms: Leadership[] = [];
  readonly stopping = new AbortController();
  readonly identity: string;

  constructor(world: World, identity: string, times: typeof TIMES) {
    this.process = new VirtualProcess(world.time, 1);
    world.nth += 1;
    const { nth } = world;
    const options: ElectorOptions = {
      ...times,
      leases: world.server.clientOf(this.process),
      ref: { namespace: 'mxr', name: 'mxr' },
      identity,
      clock: this.process.clock,
      timers: this.process.timers,
      random: () => nth / 100,
      onError: (error) => world.errors.push(error),
    };
    const elector = createElector(options);
    this.identity = elector.identity;
    void this.#campaign(elector.acquire.bind(elector));
  }

  get leads(): boolean {
    return this.terms[0]?.isLeader() === true;
  }

  get term(): Leadership {
    const [term] = this.terms;
    assert.ok(term !== undefined, `${this.identity} never led`);
    return term;
  }

  async #campaign(acquire: (signal: AbortSignal) => Promise<Leadership | undefined>): Promise<void> {
    for (;;) {
      const term = await acquire(this.stopping.signal);
      if (term === undefined) return;
      this.terms.unshift(term);
      await new Promise((resolve) => term.signal.addEventListener('abort', resolve, { once: true }));
    }
  }
}

describe('leader election', () => {
  it('the first candidate leads at once, and goes on leading', async () => {
    const world = new World();
    const a = world.candidate('a');
    await world.wait(100);
    assert.equal(a.leads, true);
    await world.wait(60_000);
    assert.deepEqual([a.leads, a.terms.length, a.term.epoch, world.errors], [true, 1, 1, []]);
    const spec = world.server.lease?.spec;
    assert.deepEqual([spec?.holderIdentity, spec?.leaseDurationSeconds, spec?.leaseTransitions], [a.identity, 15, 1]);
    assert.match(spec?.renewTime ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/u);
    assert.notEqual(spec?.renewTime, spec?.acquireTime);
  });

  it('a second candidate waits while the first renews', async () => {
    const world = new World();
    const a = world.candidate('a');
    await world.wait(100);
    const b = world.candidate('b');
    await world.wait(120_000);
    assert.deepEqual([a.leads, b.leads], [true, false]);
  });

  it('takes over from a dead leader one lease duration after it saw the last renewal, with a higher epoch', async () => {
    const world = new World();
    const a = world.candidate('a');
    await world.wait(100);
    const b = world.candidate('b');
    await world.wait(5_000);
    a.process.kill();
    await world.wait(14_000);
    assert.equal(b.leads, false);
    await world.wait(4_000);
    assert.deepEqual([b.leads, b.term.epoch], [true, 2]);
  });

  it('a leader frozen past its lease says so the moment it wakes, before any of its timers has fired', async () => {
    const world = new World();
    const a = world.candidate('a');
    await world.wait(100);
    const frozen = a.term;
    a.process.freeze(60_000);
    await world.wait(14_000);
    assert.equal(frozen.isLeader(), true, 'the lease is still its own');
    await world.wait(1_500);
    assert.equal(frozen.signal.aborted, false, 'no timer of a frozen process fires');
    assert.equal(frozen.isLeader(), false);
    await world.wait(60_000);
    assert.ok(isMxrError(frozen.signal.reason, 'FenceLost'));
    assert.deepEqual([a.leads, a.term.epoch], [true, 2], 'nobody else was there, so it leads again, in a new term');
  });

  it('the fence ends 2 % before the lease, counted from when the claim was sent', async () => {
    const world = new World();
    world.server.fate = () => ({ ...SMOOTH, answerMs: 1_000 });
    const a = world.candidate('a');
    // The read takes 1002 ms, the claim is sent then and answered at 2004 ms.
    await world.wait(2_010);
    a.process.freeze(60_000);
    await world.wait(1_002 + 0.98 * 15_000 - 2_010 - 1);
    assert.equal(a.leads, true);
    await world.wait(1);
    assert.equal(a.leads, false);
  });

  it('the fence of a renewal counts from when it was sent, too', async () => {
    const world = new World();
    const a = world.candidate('a');
    await world.wait(1_000);
    world.server.fate = () => ({ ...SMOOTH, answerMs: 1_500 });
    // Claimed by 8 ms; the renewal is sent 2 s later and answered at 3510 ms.
    await world.wait(2_600);
    a.process.freeze(60_000);
    await world.wait(2_008 + 0.98 * 15_000 - 3_600 - 1);
    assert.equal(a.leads, true);
    await world.wait(1);
    assert.equal(a.leads, false);
  });

  it('gives up at the renew deadline when the API does not answer, and leads again when it does', async () => {
    const world = new World();
    const a = world.candidate('a');
    await world.wait(100);
    const first = a.term;
    world.server.fate = () => ({ ...SMOOTH, lose: 'request' });
    await world.wait(9_500);
    assert.equal(first.signal.aborted, false);
    await world.wait(1_000);
    assert.deepEqual([first.signal.aborted, first.isLeader()], [true, false]);
    assert.ok(String(first.signal.reason).includes('no renewal succeeded for 10000 ms'));
    world.server.fate = () => SMOOTH;
    await world.wait(10_000);
    assert.deepEqual([a.leads, a.term.epoch], [true, 2]);
  });

  it('one hanging call leaves time for another before the deadline', async () => {
    const world = new World();
    const a = world.candidate('a');
    await world.wait(100);
    let lost = 0;
    world.server.fate = () => {
      lost += 1;
      return lost === 1 ? { ...SMOOTH, lose: 'request' } : SMOOTH;
    };
    await world.wait(60_000);
    assert.deepEqual([a.leads, a.terms.length], [true, 1]);
  });

  it('a renewal whose answer was lost is recognised as its own', async () => {
    const world = new World();
    const a = world.candidate('a');
    await world.wait(100);
    let lost = 0;
    world.server.fate = () => {
      lost += 1;
      return lost === 1 ? { ...SMOOTH, lose: 'answer' } : SMOOTH;
    };
    await world.wait(60_000);
    assert.deepEqual([a.leads, a.terms.length], [true, 1]);
  });

  it('a claim whose answer was lost is recognised as its own', async () => {
    const world = new World();
    world.server.fate = () => (world.server.served === 1 ? { ...SMOOTH, lose: 'answer' } : SMOOTH);
    const a = world.candidate('a');
    await world.wait(8_000);
    assert.deepEqual([a.leads, a.term.epoch], [true, 2]);
  });

  it('ends at once when somebody else holds the Lease', async () => {
    const world = new World();
    const a = world.candidate('a');
    await world.wait(100);
    world.server.edit({ holderIdentity: 'usurper' });
    await world.wait(2_500);
    assert.deepEqual([a.leads, a.term.signal.aborted], [false, true]);
  });

  it('ends when the Lease is deleted; a candidate that saw it held waits before it takes the vacancy', async () => {
    const world = new World();
    const a = world.candidate('a', { ...TIMES, retryPeriodMs: 8_000 });
    await world.wait(100);
    const b = world.candidate('b');
    await world.wait(100);
    world.server.delete();
    await world.wait(5_000);
    assert.deepEqual([a.leads, b.leads], [true, false]);
    await world.wait(20_000);
    assert.deepEqual([a.terms[0]?.signal.aborted === true || a.leads, a.leads && b.leads], [true, false]);
  });

  it('a restarted container with the same identity waits like anybody else', async () => {
    const world = new World();
    const a = world.candidate('pod-0');
    await world.wait(100);
    a.process.kill();
    const again = world.candidate('pod-0');
    await world.wait(10_000);
    assert.deepEqual([again.leads, again.identity === a.identity], [false, false]);
    await world.wait(7_000);
    assert.equal(again.leads, true);
  });

  it('release hands the Lease on within a second', async () => {
    const world = new World();
    const a = world.candidate('a');
    await world.wait(100);
    const b = world.candidate('b');
    await world.wait(5_000);
    a.stopping.abort();
    const released = a.term.release();
    assert.equal(a.leads, false, 'it stops leading before it lets go');
    await world.wait(50);
    await released;
    assert.equal(world.server.lease?.spec.holderIdentity, '');
    await world.wait(950);
    assert.deepEqual([b.leads, b.term.epoch], [true, 2]);
  });

  it('release during a renewal, twice, or with the API gone neither rejects nor takes the Lease from a successor', async () => {
    const world = new World();
    const a = world.candidate('a');
    await world.wait(100);
    a.stopping.abort();
    world.server.fate = () => ({ ...SMOOTH, requestMs: 300, answerMs: 300 });
    await world.wait(2_000);
    const both = [a.term.release(), a.term.release()];
    await world.wait(3_000);
    await Promise.all(both);
    assert.equal(world.server.lease?.spec.holderIdentity, '');
    world.server.fate = () => SMOOTH;
    const b = world.candidate('b');
    await world.wait(1_000);
    const again = a.term.release();
    await world.wait(1_000);
    await again;
    assert.equal(b.leads, true);
    world.server.fate = () => ({ ...SMOOTH, lose: 'request' });
    const lost = b.term.release();
    await world.wait(20_000);
    await lost;
  });

  it('refuses times that are not safe', () => {
    const world = new World();
    const unsafe = [
      { leaseDurationMs: 10_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 },
      { leaseDurationMs: 10_000, renewDeadlineMs: 9_900, retryPeriodMs: 2_000 },
      { leaseDurationMs: 15_000, renewDeadlineMs: 2_400, retryPeriodMs: 2_000 },
      { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 0 },
    ];
    for (const times of unsafe) {
      assert.throws(
        () => world.candidate('a', times),
        (error) => isMxrError(error, 'ConfigInvalid'),
      );
    }
  });
});
