import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';

/** 2 x probeIntervalMs + probeTimeoutMs + 1 s, as the stage configures them. */
const BOUND_MS = 2 * 250 + 1000 + 1000;
/** The machine runs the whole pair, the cluster and all replicas on few cores, and other benches beside them. */
const SLOW_MACHINE = 3;

/** Says how long something took to be told, and asserts that it was told within the detection bound. */
export function assertBound(t: TestContext, what: string, tookMs: number): void {
  const text = `${what} after ${Math.round(tookMs)} ms, bound ${BOUND_MS} ms`;
  t.diagnostic(text);
  assert.ok(tookMs <= BOUND_MS * SLOW_MACHINE, text);
}
