/** Set-up cannot go on. The message is one paragraph for the person who started it: what is missing, and what to do. */
export class ProvisionError extends Error {}

/** A long output hides its cause; the end of it is where that stands. */
const KEPT_CHARACTERS = 600;

/** What a program said, on one line. */
export function inOneLine(output: string): string {
  const text = output.trim().replaceAll(/\s+/gu, ' ');
  return text.length <= KEPT_CHARACTERS ? text : `... ${text.slice(-KEPT_CHARACTERS)}`;
}
