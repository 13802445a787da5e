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

/** Shorter values are masked only where they are the whole text: `a` is in every text. Also the key of the index. */
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
  /** Oldest first. */
  readonly #values = new Set<string>();
  #spellings = new Set<string>();
  /** The lengths of the spellings with these first characters, the longest first: none hides behind a part of it. */
  #lengths = new Map<string, readonly number[]>();

  add(value: string): void {
    if (value === '') return;
    const isNew = !this.#values.delete(value);
    this.#values.add(value);
    if (isNew) this.#remember(value);
    if (this.#values.size > MAX_VALUES) this.#forgetOldest();
  }

  mask(text: string): string {
    if (this.#values.has(text)) return MASK;
    let masked = '';
    let copied = 0;
    for (let at = 0; at + MIN_PART <= text.length; at += 1) {
      const length = this.#secretAt(text, at);
      if (length === 0) continue;
      masked += text.slice(copied, at) + MASK;
      copied = at + length;
      at = copied - 1;
    }
    return SHAPES.reduce((safe, shape) => safe.replace(shape, `$1${MASK}$2`), masked + text.slice(copied));
  }

  /** The length of the secret that begins there; 0: none does. */
  #secretAt(text: string, at: number): number {
    const lengths = this.#lengths.get(text.slice(at, at + MIN_PART)) ?? [];
    return lengths.find((length) => this.#spellings.has(text.slice(at, at + length))) ?? 0;
  }

  #remember(value: string): void {
    for (const spelling of spellingsOf(value)) {
      this.#spellings.add(spelling);
      const start = spelling.slice(0, MIN_PART);
      const lengths = this.#lengths.get(start) ?? [];
      if (lengths.includes(spelling.length)) continue;
      this.#lengths.set(
        start,
        [...lengths, spelling.length].sort((a, b) => b - a),
      );
    }
  }

  /** A tenth at a time, for everything is indexed anew. */
  #forgetOldest(): void {
    const surplus = [...this.#values].slice(0, MAX_VALUES / 10);
    for (const value of surplus) this.#values.delete(value);
    this.#spellings = new Set();
    this.#lengths = new Map();
    for (const value of this.#values) this.#remember(value);
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
