import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReplicaStatus } from '../../../src/api/status.ts';
import type { Status } from '../../../src/api/v1alpha1.ts';
import { provision } from '../../support/provision.ts';
import { sandboxDirectory } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { NAME, NAMESPACE } from './stage.ts';
import type { Stage, StageOptions } from './stage.ts';

/** A directory that stands for the salvage volume of the operator. */
export class SalvageVolume {
  readonly dir = mkdtempSync(join(sandboxDirectory() ?? tmpdir(), 'mxr-salvage-'));

  private readonly tool: string;

  private constructor(tool: string) {
    this.tool = tool;
  }

  static async make(): Promise<SalvageVolume> {
    return new SalvageVolume((await provision(() => undefined)).mariadbBinlog);
  }

  get operator(): NonNullable<StageOptions['operator']> {
    return { env: { MXR_SALVAGE_DIR: this.dir, MXR_SALVAGE_TOOL: this.tool } };
  }

  files(): readonly string[] {
    return readdirSync(join(this.dir, NAMESPACE, NAME)).sort();
  }

  /** These are saved, whole, and where the status says. */
  assertSaved({ pod, message, salvage, serving }: ReplicaStatus, gtids: readonly string[]): void {
    assert.ok(salvage !== undefined, message);
    // With a mark behind it where they were saved before as what the holder lacked (Ahead), and now as what differs.
    const name = `${NAMESPACE}/${NAME}/${pod}-${gtids[0]}-${gtids.at(-1)}`;
    assert.match(salvage.file, new RegExp(`^${name}(-[0-9a-f]{8})?\\.binlog$`));
    assert.equal(salvage.count, gtids.length);
    assert.ok(message.includes(`Saved: ${gtids.length} transactions, as ${salvage.file}`), message);
    const path = join(this.dir, salvage.file);
    const sum = execFileSync('sha256sum', [path], { encoding: 'utf8' }).split(' ')[0];
    assert.equal(sum, salvage.sha256);
    const read = execFileSync(this.tool, ['--no-defaults', '--verify-binlog-checksum', path], { encoding: 'utf8' });
    const listed = [...read.matchAll(/\tGTID (\d+-\d+-\d+)/g)].map((match) => match[1]);
    assert.deepEqual(listed, gtids);
    assert.equal(serving, false, `${pod} has left the read Service`);
  }

  close(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** What only these pods have is saved; resolves with the status that says so. */
export async function allSaved(stage: Stage, pods: readonly string[], deadlineMs?: number): Promise<Status> {
  return stage.statusIs(
    `what only ${pods.join(', ')} have is saved`,
    ({ replicas }) => pods.every((pod) => replicas.some((one) => one.pod === pod && one.message.includes('Saved: '))),
    deadlineMs,
  );
}

/** Resolves with what the events of this reason say once there are so many; they come a while after what they tell of. */
export async function eventNotes(stage: Stage, reason: string, count: number): Promise<readonly string[]> {
  let notes: readonly string[] = [];
  const isThere = async (): Promise<boolean> => {
    const events = await stage.events();
    notes = events.filter((event) => event.reason === reason).map(({ note }) => note);
    return notes.length >= count;
  };
  await until(`there are ${count} events ${reason}`, isThere);
  return notes;
}
