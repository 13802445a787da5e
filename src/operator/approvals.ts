import { APPROVE_ANNOTATION } from '../api/names.ts';
import type { ExternalReplica } from '../api/v1alpha1.ts';
import type { Runtime } from './runtime.ts';

const MAX_APPROVALS = 32;

/** Takes a new approval from the annotation: who wrote it is said by the API server, not by the annotation. */
export function approvalsOf(runtime: Runtime): void {
  const id = runtime.resource.metadata.annotations[APPROVE_ANNOTATION]?.trim() ?? '';
  if (id === '' || id.length > 200 || runtime.approved.has(id)) return;
  const { by, via } = writerOf(runtime.resource);
  const at = new Date(runtime.shared.clock.wallMs()).toISOString();
  runtime.approved.add(id);
  runtime.approvals = [...runtime.approvals, { id, by, at, via }].slice(-MAX_APPROVALS);
  runtime.shared.log.info('approval taken', { resource: runtime.key, id, by, via });
}

/** The field manager that owns the annotation. */
function writerOf({ metadata }: ExternalReplica): { by: string; via: string } {
  const path = `f:${APPROVE_ANNOTATION}`;
  const owner = metadata.managedFields.find((entry) => JSON.stringify(entry.fieldsV1).includes(path));
  return { by: owner?.manager ?? 'unknown', via: 'annotation' };
}
