/** GTIDs of a text of MariaDB's, as the last number per domain and server id. Shares no code with `src/`, which it judges. */
export type Numbers = ReadonlyMap<string, bigint>;

export function numbersOf(...texts: readonly (string | null | undefined)[]): Numbers {
  const numbers = new Map<string, bigint>();
  for (const gtid of texts.flatMap((text) => (text ?? '').split(',').map((one) => one.trim()))) {
    const [domain, server, number] = gtid.split('-');
    if (domain === undefined || server === undefined || number === undefined) continue;
    const key = `${domain}-${server}`;
    const value = BigInt(number);
    if (value > (numbers.get(key) ?? -1n)) numbers.set(key, value);
  }
  return numbers;
}

/** What `mine` has beyond `theirs`, as `domain-server-number`. */
export function beyond(mine: Numbers, theirs: Numbers): string[] {
  return [...mine]
    .filter(([key, number]) => number > (theirs.get(key) ?? -1n))
    .map(([key, number]) => `${key}-${number}`);
}
