import type { StepOutcome } from '../api/reasons.ts';
import type { Plan, StepValue } from '../domain/plan.ts';
import { errorText, isMxrError } from '../errors.ts';
import { change, start } from './attach.ts';
import { PROVE, prove } from './check.ts';
import { capture, drain, stop, stopReceiving } from './detach.ts';
import type { ExecuteContext, Execution, Running, StepReport } from './execution.ts';
import { openActing } from './replication.ts';
import { verifyAttached, verifyFilling } from './verify.ts';

/** Carries out one replica's plan: a step, its effect verified, the fence checked again, the next one. Never throws. */
export async function execute(plan: Plan, context: ExecuteContext): Promise<Execution> {
  const steps: StepReport[] = [];
  let running: Running | null = null;
  let failure: { code: string; refused: boolean; message: string } | null = null;
  try {
    context.fence();
    const { connect, replica: target, link, leaseDurationMs, signal, fence } = context;
    const deadlineMs = context.statementDeadlineMs;
    const acting = await openActing({
      connect,
      target,
      channel: link.channel,
      leaseDurationMs,
      deadlineMs,
      signal,
      fence,
    });
    const expected = plan.proven?.gtid ?? null;
    running = { context, plan, acting, seen: null, captured: null, expected, stoppedAt: null, place: null };
    for (const step of plan.steps) await runStep(running, step, steps);
  } catch (error) {
    const refused = isMxrError(error) && error.operation === PROVE;
    failure = { code: isMxrError(error) ? error.code : 'Bug', refused, message: errorText(error) };
  } finally {
    running?.acting.close();
  }
  // A fill brings it nowhere yet.
  const started = plan.kind !== 'Fill' && steps.some((step) => step.step === 'VerifyAttached' && step.outcome === 'ok');
  return {
    pod: plan.pod,
    plan,
    outcome: failure === null ? 'Done' : 'Stopped',
    code: failure?.code ?? null,
    refused: failure?.refused ?? false,
    message: failure?.message ?? '',
    steps,
    captured: running?.captured ?? null,
    attachedAt: started && running?.expected != null ? { gtid: running.expected, place: running.place } : null,
  };
}

async function runStep(running: Running, step: StepValue, steps: StepReport[]): Promise<void> {
  const { context } = running;
  const [startedAt, from] = [context.clock.wallMs(), context.clock.monotonicMs()];
  const report = (outcome: StepOutcome, detail: string) => {
    steps.push({ step: step.step, outcome, startedAt, durationMs: context.clock.monotonicMs() - from, detail });
    context.onStatement(step.step, outcome);
  };
  context.onStep(step.step);
  try {
    context.fence();
    report('ok', await doStep(running, step));
  } catch (error) {
    report(isMxrError(error, 'Deadline') ? 'deadline' : 'error', errorText(error));
    throw error;
  }
}

/** Does one step and verifies its effect. Answers what is worth reading in the record. */
async function doStep(running: Running, step: StepValue): Promise<string> {
  switch (step.step) {
    case 'StopReceiving':
      return stopReceiving(running, step.dials);
    case 'Capture':
      return capture(running);
    case 'Drain':
      return drain(running);
    case 'Prove':
      return prove(running, step.expect);
    case 'Stop':
      return stop(running);
    case 'Change':
      return change(running, step);
    case 'Start':
      return start(running, step);
    case 'VerifyAttached':
      return step.until === undefined
        ? verifyAttached(running, step.target)
        : verifyFilling(running, step.target, step.until);
    default:
      return step satisfies never;
  }
}
