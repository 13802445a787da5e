import { MxrError } from '../errors.ts';
import { malformed } from './errors.ts';
import type { CallName } from './errors.ts';

/** etcd refuses objects over 1.5 MiB; a longer line is not from an API server. */
const MAX_LINE_CHARS = 8 * 1024 * 1024;

export interface LineOptions extends CallName {
  readonly inactivityMs: number;
  /** Must make the pending read end: aborts the request. */
  readonly onQuiet: () => void;
}

/** Lines of a streaming answer, with a deadline for silence. A line that the server did not finish is dropped. */
export async function* readLines(body: ReadableStream<Uint8Array>, options: LineOptions): AsyncGenerator<string, void> {
  const { operation, target, inactivityMs, onQuiet } = options;
  let quiet = false;
  const timer = setTimeout(() => {
    quiet = true;
    onQuiet();
  }, inactivityMs);
  try {
    const decoder = new TextDecoder();
    let rest = '';
    for await (const chunk of body) {
      timer.refresh();
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE_CHARS) throw malformed(options, 'an event of a sane size');
      for (const line of lines) if (line.trim() !== '') yield line;
    }
  } catch (error) {
    if (!quiet) throw error;
    const detail = `nothing came for ${inactivityMs} ms`;
    throw new MxrError({ operation, target, code: 'Deadline', detail, retryable: true });
  } finally {
    clearTimeout(timer);
  }
}
