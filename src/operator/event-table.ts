import type { EventTable } from '../kube/events.ts';

/** Every event that mxr emits: on transitions only. Warning is what a person would act upon. */
export const EVENT_TABLE = {
  Accepted: 'Normal',
  NotAccepted: 'Warning',
  SituationChanged: 'Normal',
  SourceTrouble: 'Warning',
  VerdictWorse: 'Warning',
  VerdictBetter: 'Normal',
  Salvaged: 'Normal',
  HandoverCompleted: 'Normal',
  HandoverNotCompleted: 'Warning',
  ApprovalNeeded: 'Warning',
  FailoverReady: 'Normal',
  FailoverNotReady: 'Warning',
} as const satisfies EventTable<string>;
export type EventReason = keyof typeof EVENT_TABLE;
