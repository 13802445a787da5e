/** Longer ones are cut before they are looked at: nothing that follows is shown anyway. */
const LOOKED_AT = 4_096;
/** Quoted text (also one that is cut), hexadecimal and numbers. Names stay. */
const LITERALS =
  /`[^`]*`|(?:\b[xb])?'(?:[^'\\]|''|\\.)*(?:'|$)|"(?:[^"\\]|""|\\.)*(?:"|$)|\b0x[0-9a-f]+\b|(?<![\w$.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w$])/gis;

/** A statement without the values that it writes: the status is read by people who may not read the tables. */
export function maskLiterals(sql: string): string {
  return sql.slice(0, LOOKED_AT).replace(LITERALS, (found) => (found.startsWith('`') ? found : '?'));
}

/** The values in a statement, unquoted. */
export function literalsOf(sql: string): ReadonlySet<string> {
  const found = [...sql.matchAll(LITERALS)].map(([text]) => text).filter((text) => !text.startsWith('`'));
  return new Set(found.map((text) => (/^['"]/.test(text) ? unquoted(text) : text)));
}

function unquoted(text: string): string {
  const [quote = ''] = text;
  const inner = text.slice(1, text.endsWith(quote) && text.length > 1 ? -1 : undefined);
  return inner.replaceAll(quote + quote, quote).replaceAll(/\\(.)/gs, '$1');
}
