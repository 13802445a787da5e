import type { Member } from '../../support/member.ts';
import { PUBLISHER_TOKEN, PublisherProcess, publishing } from './publisher-process.ts';
import { NAMESPACE, Stage } from './stage.ts';
import type { StageOptions } from './stage.ts';

export interface PublishedStage {
  readonly stage: Stage;
  readonly close: () => Promise<void>;
}

/** Opens a stage whose members have publishers, by default as the shipped unit starts them, and on which the operator leads. */
export async function beginPublished(
  options: StageOptions,
  start = async ({ bench }: Stage, member: Member) => PublisherProcess.start(bench, member),
): Promise<PublishedStage> {
  const stage = await Stage.open(options);
  const publishers: PublisherProcess[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(publishers.map(async (publisher) => publisher.kill9()));
    await stage.close();
  };
  try {
    await stage.api.createSecret(NAMESPACE, 'orders-publisher', { token: PUBLISHER_TOKEN });
    const { members } = stage.bench;
    await Promise.all(members.map(async (member) => publishers.push(await start(stage, member))));
    await stage.startOperator();
    await stage.createResource(publishing(stage.bench));
    return { stage, close };
  } catch (error) {
    await close();
    throw error;
  }
}
