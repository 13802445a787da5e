import { gate } from '../domain/gate.ts';
import { historiesWanted } from '../domain/histories.ts';
import { judge } from '../domain/judge.ts';
import { carryOut } from './carry-out.ts';
import { approvalsOf } from './approvals.ts';
import { askFor } from './ask.ts';
import { isLeaving } from './end-handover.ts';
import { intendedOf } from './handover.ts';
import { keepInvariants } from './keep-invariants.ts';
import { keepLinkSettings } from './link-settings.ts';
import { hurryOf, paceOf, urgentOf } from './pace.ts';
import { accountsAt, podsToRelink } from './relink.ts';
import { report, reportRefusal } from './report.ts';
import type { Runtime } from './runtime.ts';
import { salvageUnique } from './salvage.ts';
import { watch } from './watch.ts';
import type { Acceptance } from './accept/accept.ts';
import { policyOf } from './policy.ts';

/**
 * One pass over one resource: observe, diagnose, plan, check the invariants, execute, report. Level-triggered: nothing is
 * remembered between passes but what was proven, and a pass never waits for a server: looks, answers and plans under way
 * each wake the next pass when they are there.
 */
export function reconcile(runtime: Runtime, acceptance: Acceptance): void {
  if (!acceptance.ok) {
    reportRefusal(runtime, acceptance);
    return;
  }
  const observation = watch(runtime, acceptance);
  const { spec } = runtime.resource;
  approvalsOf(runtime);
  const pods = observation.replicas.map(({ pod }) => pod);
  runtime.linkAccounts = accountsAt(runtime.linkAccounts, acceptance.replication, pods);

  const picture = judge({
    policy: policyOf(runtime.resource, acceptance, runtime.shared.filler?.dial ?? null),
    observation,
    memory: runtime.memory,
    pair: runtime.pair,
    evidence: runtime.evidence?.evidence() ?? new Map(),
    busy: runtime.jobs,
    actedAt: runtime.actedAt,
    intended: intendedOf(runtime.open),
    relink: podsToRelink(runtime.linkAccounts, observation, runtime),
    approved: runtime.approved,
    failures: runtime.failures,
  });
  runtime.memory = picture.memory;
  runtime.pair = picture.pair;
  runtime.picture = picture;

  const gates = {
    suspend: spec.suspend || beginsNothing(runtime),
    handover: spec.policy.handover,
    holdDownMs: spec.detection.holdDownSeconds * 1000,
    approved: runtime.approved,
  };
  const gated = gate(picture, gates, observation.now);
  const plans = keepInvariants(runtime, gated.plans, picture);

  askFor(runtime, picture);
  const unique = historiesWanted(picture, observation);
  runtime.histories?.want(unique);
  salvageUnique(runtime, unique, picture.decisions);
  carryOut(runtime, plans, { ...picture, decisions: gated.decisions });
  runtime.hurry = hurryOf(runtime.hurry, picture, jobsOf(runtime), observation.now);
  runtime.watcher?.setPace(paceOf(runtime.hurry, observation.now), urgentOf(picture, runtime.jobs));
  keepLinkSettings(runtime, observation.replicas);
  report(runtime, picture, gated);
}

/** A resource that is being deleted begins nothing new; what is under way is ended, and the finalizer waits a while for it. */
function beginsNothing({ resource, open, shared }: Runtime): boolean {
  const deleted = resource.metadata.deletionTimestamp !== undefined;
  return deleted && (open === null || isLeaving(resource, shared.clock.wallMs()));
}

function jobsOf({ jobs }: Runtime): readonly string[] {
  return [...jobs].map(([pod, { what }]) => `${pod} ${what}`);
}
