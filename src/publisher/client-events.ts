/** A publisher's event is bounded by its schema; a longer one is from somewhere else. */
const MAX_EVENT_CHARS = 1024 * 1024;

export interface ServerSentEvent {
  readonly type: string;
  readonly data: string;
}

export class EventTooLarge extends Error {}

/** The events of such a stream; `onLine` also hears of comments. One that is not finished is dropped. */
export async function* readServerSentEvents(
  chunks: AsyncIterable<Uint8Array>,
  onLine: () => void,
): AsyncGenerator<ServerSentEvent, void> {
  let type = '';
  let data: string[] = [];
  let size = 0;
  for await (const line of lines(chunks)) {
    onLine();
    size += line.length;
    if (size > MAX_EVENT_CHARS) throw new EventTooLarge();
    if (line === '') {
      if (data.length > 0) yield { type: type === '' ? 'message' : type, data: data.join('\n') };
      type = '';
      data = [];
      size = 0;
      continue;
    }
    const { field, value } = fieldOf(line);
    if (field === 'event') type = value;
    else if (field === 'data') data.push(value);
  }
}

/** A comment has an empty name. */
function fieldOf(line: string): { field: string; value: string } {
  const colon = line.indexOf(':');
  if (colon < 0) return { field: line, value: '' };
  const value = line.slice(colon + 1);
  return { field: line.slice(0, colon), value: value.startsWith(' ') ? value.slice(1) : value };
}

async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    const [first = '', ...more] = decoder.decode(chunk, { stream: true }).split('\n');
    parts.push(first);
    length += first.length;
    if (length > MAX_EVENT_CHARS) throw new EventTooLarge();
    for (const next of more) {
      yield withoutReturn(parts.join(''));
      parts = [next];
      length = next.length;
    }
  }
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}
