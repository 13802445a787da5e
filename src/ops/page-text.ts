/** How values stand on the page: what is not known is a question mark, never a guess. */

export function yesNo(value: boolean | undefined): string {
  return value === undefined ? '?' : value ? 'yes' : 'no';
}

export function seconds(value: number | undefined): string {
  return value === undefined ? '?' : `${value} s`;
}

export function place(file: string | undefined, position: number | undefined): string {
  return file === undefined ? '' : `${file}:${position ?? '?'}`;
}

export function time(ms: number): string {
  return new Date(ms).toISOString();
}

export function age(at: number, now: number): string {
  return `${Math.max(0, Math.round((now - at) / 1000))} s ago`;
}
