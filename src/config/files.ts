import type { ConfigSource } from './options.ts';

/** Files that settings name. What is wrong with one is a problem under the name of its setting, never with its content. */
export interface FileReader {
  /** Null: no file was named, or it is reported as a problem. */
  text(path: string, setting: string): string | null;
  token(path: string, setting: string): string | null;
  /** Empty where it is reported as a problem. */
  password(path: string, setting: string): string;
}

const TOKEN = /^[\x21-\x7e]{16,512}$/u;
/** Much more than any certificate, and less than what somebody named by mistake. */
const MAX_CHARACTERS = 1_048_576;

export function fileReader(source: ConfigSource, problems: string[]): FileReader {
  return { text, token, password };

  function text(path: string, setting: string): string | null {
    if (path === '') return null;
    const found = source.readFile(path);
    if (found === undefined) problems.push(`${setting}: ${path} cannot be read`);
    else if (found.trim() === '') problems.push(`${setting}: ${path} is empty`);
    else if (found.length > MAX_CHARACTERS) problems.push(`${setting}: ${path} is larger than 1 MiB`);
    else return found;
    return null;
  }

  function token(path: string, setting: string): string | null {
    const found = text(path, setting)?.trim() ?? null;
    if (found === null || TOKEN.test(found)) return found;
    problems.push(`${setting}: what ${path} holds is not 16 to 512 visible ASCII characters`);
    return null;
  }

  function password(path: string, setting: string): string {
    return withoutLineEnd(text(path, setting) ?? '');
  }
}

/** Undefined: it cannot be read now. */
export function passwordIn(source: ConfigSource, path: string): string | undefined {
  const text = source.readFile(path);
  return text === undefined ? undefined : withoutLineEnd(text);
}

/** Null: the file holds none now, or none was named. */
export function tokenIn(source: ConfigSource, path: string): string | null {
  const text = path === '' ? '' : (source.readFile(path)?.trim() ?? '');
  return TOKEN.test(text) ? text : null;
}

/** An editor ends the file with a line end; blanks may belong to the password. */
function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/u, '');
}
