import { factsOf } from '../domain/context.ts';
import { violations } from '../domain/invariants.ts';
import type { Picture } from '../domain/judge.ts';
import type { Plan } from '../domain/plan.ts';
import { policyOf } from './policy.ts';
import type { Runtime } from './runtime.ts';

/** A plan that breaks an invariant is a bug in mxr: it is dropped and said aloud, never repaired. */
export function keepInvariants(runtime: Runtime, plans: readonly Plan[], picture: Picture): readonly Plan[] {
  const accepted = runtime.accepted;
  const observation = runtime.watcher?.observation();
  if (accepted === null || observation === undefined) return [];
  const policy = policyOf(runtime.resource, accepted, runtime.shared.filler?.dial ?? null);
  const evidence = runtime.evidence?.evidence() ?? new Map();
  return plans.filter((plan) => {
    const observed = observation.replicas.find((replica) => replica.pod === plan.pod);
    const replica =
      observed === undefined ? null : factsOf({ memory: picture.memory, policy, observation, evidence }, observed);
    if (replica === null) return false;
    const broken = violations(plan, { diagnosis: picture.diagnosis, memory: picture.memory, replica });
    for (const { invariant, message } of broken) {
      runtime.shared.log.error('a plan broke an invariant and was dropped', {
        resource: runtime.key,
        pod: plan.pod,
        invariant,
        detail: message,
      });
      runtime.shared.tell.error('InvariantBroken');
    }
    return broken.length === 0;
  });
}
