import type { HandoverRecord } from '../../src/api/v1alpha1.ts';
import { monotonicMs } from '../support/monotonic.ts';
import type { MoveResult } from './moves.ts';
import { msText } from './table.ts';

/** Where the time of one move went, in ms after the VIP's first answer as the bench saw it. */
export function waterfallOf(
  { answeredAt, writableAt, firstAt, sides }: MoveResult,
  record: HandoverRecord | undefined,
): string {
  const zero = answeredAt ?? firstAt;
  const [wall, monotonic] = [Date.now(), monotonicMs()];
  const at = (iso: string | undefined): string =>
    iso === undefined ? '-' : String(Math.round(Date.parse(iso) - wall + monotonic - zero));
  const lines = [
    `writable at ${writableAt === null ? '-' : Math.round(writableAt - zero)}, first row acknowledged at ${Math.round(firstAt - zero)}, applied by all at ${msText(sides.mxr.fromVip)}`,
  ];
  if (record === undefined) return lines.join('\n');
  lines.push(
    `mxr: opened ${at(record.startedAt)}, saw the VIP answer ${at(record.vipAnsweredAt)}, ended ${at(record.finishedAt)}`,
  );
  for (const { pod, steps = [] } of record.replicas) {
    const parts = steps.map(({ step, startedAt, durationMs }) => `${step} ${at(startedAt)}+${durationMs}`);
    lines.push(`  ${pod}: ${parts.join(', ')}`);
  }
  return lines.join('\n');
}
