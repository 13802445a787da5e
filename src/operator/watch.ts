import type { Observation } from '../domain/observation.ts';
import { createEvidenceStore } from '../observe/evidence.ts';
import { createHistories } from '../observe/histories.ts';
import { createWatcher } from '../observe/watcher.ts';
import type { Acceptance } from './accept/accept.ts';
import { createAsker } from './ask.ts';
import { historyReader } from './read-history.ts';
import type { Runtime } from './runtime.ts';

/** Brings the watcher in line with what was accepted, and takes its picture. */
export function watch(runtime: Runtime, accepted: Extract<Acceptance, { ok: true }>): Observation {
  runtime.accepted = accepted;
  const { probeIntervalMs, probeTimeoutMs } = runtime.resource.spec.detection;
  const { connect, clock } = runtime.shared;
  runtime.watcher ??= createWatcher({
    targets: accepted.targets,
    probeIntervalMs,
    probeTimeoutMs,
    connect,
    clock,
    onChange: runtime.wake,
    mayHedge: runtime.shared.mayHedge,
    mayHurry: runtime.shared.mayHurry,
  });
  runtime.histories ??= createHistories({ clock, read: historyReader(runtime), onRead: runtime.wake });
  runtime.evidence ??= createEvidenceStore({ clock, ask: createAsker(runtime), onAnswer: runtime.wake });
  runtime.watcher.setTiming(runtime.resource.spec.detection);
  runtime.watcher.setTargets(accepted.targets);
  runtime.watcher.setReplicas(accepted.pods);
  return runtime.watcher.observation();
}
