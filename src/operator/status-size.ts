import type { HandoverRecord, HandoverReplica, Status } from '../api/status.ts';
import { bounded } from './status-parts.ts';

/** Under the 256 KiB of the contract, with room for what the API server adds. */
const MAX_BYTES = 240 * 1024;

/** What is given up, in this order, until the status fits. None touches what mxr must remember. */
const REDUCTIONS: readonly ((status: Status) => Status)[] = [
  inHandovers((replica, record) => (record.age > 0 ? withoutSteps(replica) : replica)),
  inHandovers((replica) => withDetails(replica, 80)),
  keepOnlyFailures,
  inHandovers((replica) => ({ ...withDetails(replica, 0), message: bounded(replica.message, 100) })),
  shortMessages,
  inHandovers(withoutSteps),
  (status) => ({ ...status, findings: status.findings.slice(0, 20), handovers: status.handovers.slice(0, 3) }),
  (status) => ({ ...status, handovers: status.handovers.map((record) => ({ ...record, replicas: [] })) }),
];

export function fit(status: Status): Status {
  let fitting = { ...status, handovers: status.handovers.map(stepsWhereNeeded) };
  for (const reduce of REDUCTIONS) {
    if (sizeOf(fitting) <= MAX_BYTES) break;
    fitting = reduce(fitting);
  }
  return fitting;
}

function sizeOf(status: Status): number {
  return Buffer.byteLength(JSON.stringify(status));
}

/** Steps are kept in the newest record, and where something went wrong. */
function stepsWhereNeeded(record: HandoverRecord, age: number): HandoverRecord {
  if (age === 0) return record;
  return { ...record, replicas: record.replicas.map((one) => (wentWrong(one) ? one : withoutSteps(one))) };
}

function wentWrong(replica: HandoverReplica): boolean {
  return replica.proof === undefined || replica.steps.some((step) => step.outcome !== 'ok');
}

function withoutSteps(replica: HandoverReplica): HandoverReplica {
  return { ...replica, steps: [] };
}

function withDetails(replica: HandoverReplica, max: number): HandoverReplica {
  return {
    ...replica,
    steps: replica.steps.map((step) => ({ ...step, detail: max === 0 ? '' : bounded(step.detail, max) })),
  };
}

type Change = (replica: HandoverReplica, record: { readonly age: number }) => HandoverReplica;

function inHandovers(change: Change): (status: Status) => Status {
  return (status) => ({
    ...status,
    handovers: status.handovers.map((record, age) => ({
      ...record,
      replicas: record.replicas.map((replica) => change(replica, { age })),
    })),
  });
}

/** Of the older handovers only the replicas that were not moved. */
function keepOnlyFailures(status: Status): Status {
  const handovers = status.handovers.map((record, age) =>
    age === 0 ? record : { ...record, replicas: record.replicas.filter(wentWrong) },
  );
  return { ...status, handovers };
}

const SHORT = 160;

function shortMessages(status: Status): Status {
  const replicas = status.replicas.map((replica) => {
    const { transactions } = replica;
    return {
      ...replica,
      message: bounded(replica.message, SHORT),
      ...(transactions === undefined
        ? {}
        : { transactions: { ...transactions, gtids: transactions.gtids.slice(0, 2) } }),
    };
  });
  return {
    ...status,
    replicas,
    findings: status.findings.map((finding) => ({ ...finding, message: bounded(finding.message, SHORT) })),
  };
}
