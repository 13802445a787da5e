import { malformed } from './errors.ts';
import type { CallName } from './errors.ts';

/** etcd refuses objects over 1.5 MiB; a longer line is not from an API server. */
const MAX_LINE_CHARS = 8 * 1024 * 1024;

export interface LineOptions extends CallName {
  readonly inactivityMs: number;
  /** Must make the pending read end: aborts the request. */
  readonly onSilence: () => void;
}

/** Lines of a streaming answer until it ends or is silent. A line that the server did not finish is dropped. */
export async function* readLines(body: ReadableStream<Uint8Array>, options: LineOptions): AsyncGenerator<string, void> {
  let silent = false;
  const timer = setTimeout(() => {
    silent = true;
    options.onSilence();
  }, options.inactivityMs);
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
    if (!silent) throw error;
  } finally {
    clearTimeout(timer);
  }
}
