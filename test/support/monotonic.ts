/** Milliseconds of the machine's monotonic clock, which all processes of a bench share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
