/**
 * What must never be shown: values that mxr read from Secrets, in every spelling in which they could turn up in a
 * text, and anything that looks like a credential. Used by the logger, and by whoever writes a foreign text
 * (a server's error message) into a status or an event.
 */
export interface Secrets {
  /** From now on this value is masked. Adding it again keeps it among the newest. */
  add(value: string): void;
  /** The text with every known secret and every credential-like part masked. */
  mask(text: string): string;
}

export const MASK = '[hidden]';

/** Below this length a value is masked only where it is the whole text: `a` is in every text. */
const MIN_PART = 4;
/** Oldest forgotten first: rotated passwords must not pile up for ever. 1,000 resources have some 7,000. */
const MAX_VALUES = 20_000;

/** Credentials by their shape; `$1` and `$2` are kept. */
const SHAPES: readonly RegExp[] = [
  /(\b(?:Bearer|Basic)\s+)[\w.~+/=-]{4,}()/giu,
  /(\b(?:MASTER_)?PASSWORD\s*[=:(]?\s*')(?:[^'\\]|\\.|'')*('|$)/giu,
  /(\bIDENTIFIED\s+(?:BY|VIA\s+\w+\s+(?:USING|AS))\s+(?:PASSWORD\s+)?')(?:[^'\\]|\\.|'')*('|$)/giu,
  /(\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:)[^\s/@]+(@)/giu,
  /(-----BEGIN [A-Z ]*PRIVATE KEY-----)[^-]*((?:-----END [A-Z ]*PRIVATE KEY-----)?)/gu,
];

export function createSecrets(): Secrets {
  return new KnownSecrets();
}

class KnownSecrets implements Secrets {
  /** Secret -> its spellings, oldest first. */
  readonly #values = new Map<string, readonly string[]>();
  /** All spellings, longest first, so that no secret hides behind a part of it; built when asked for. */
  #spellings: readonly string[] | undefined;

  add(value: string): void {
    if (value === '') return;
    const known = this.#values.get(value);
    this.#values.delete(value);
    this.#values.set(value, known ?? spellingsOf(value));
    const oldest = this.#values.keys().next();
    if (this.#values.size > MAX_VALUES && oldest.done !== true) this.#values.delete(oldest.value);
    if (known === undefined) this.#spellings = undefined;
  }

  mask(text: string): string {
    if (this.#values.has(text)) return MASK;
    this.#spellings ??= [...new Set([...this.#values.values()].flat())].sort((a, b) => b.length - a.length);
    let masked = text;
    for (const spelling of this.#spellings) {
      if (masked.includes(spelling)) masked = masked.replaceAll(spelling, MASK);
    }
    for (const shape of SHAPES) masked = masked.replace(shape, `$1${MASK}$2`);
    return masked;
  }
}

/** As it is, and as JSON, a URL, base64 and a MariaDB string literal (in the text of a syntax error) would have it. */
function spellingsOf(value: string): readonly string[] {
  const spellings = [
    value,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value.toWellFormed()),
    Buffer.from(value, 'utf8').toString('base64'),
    SQL_ESCAPES.reduce((text, [character, escaped]) => text.replaceAll(character, escaped), value),
    value.replaceAll("'", "''"),
  ];
  return [...new Set(spellings)].filter((spelling) => spelling.length >= MIN_PART);
}

/** The backslash first: the others add some. */
const SQL_ESCAPES: readonly (readonly [string, string])[] = [
  ['\\', '\\\\'],
  ["'", String.raw`\'`],
  ['"', String.raw`\"`],
  ['\n', String.raw`\n`],
  ['\r', String.raw`\r`],
  ['\0', String.raw`\0`],
  ['\u001A', String.raw`\Z`],
];
