import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** docs/accounts.md is what people copy, so it is what tests run: nothing of it is written down a second time. */
const PAGE = join(import.meta.dirname, '../../docs/accounts.md');

/** The fenced blocks of the page. */
export type AccountsBlock = 'member' | 'publisher' | 'replica';
/** The accounts of the page. */
export type PageAccount = 'mxr_look' | 'mxr_repl' | 'mxr_publisher' | 'mxr_replica';

/** A block exactly as it stands there. */
export function accountsSql(block: AccountsBlock): string {
  const text = new RegExp(`^\`\`\`sql accounts=${block}\\n(.*?)^\`\`\`$`, 'msu').exec(readFileSync(PAGE, 'utf8'))?.[1];
  if (text === undefined) throw new Error(`docs/accounts.md has no block accounts=${block}`);
  return text;
}

/** A block with passwords of one's own: the statement, and its parameters. */
export function accountsStatement(
  block: AccountsBlock,
  passwords: Readonly<Partial<Record<PageAccount, string>>>,
): { sql: string; params: string[] } {
  const params: string[] = [];
  const sql = accountsSql(block).replaceAll(/'(\w+)'@'%' IDENTIFIED BY '[^']*'/gu, (_, user: string) => {
    const password = Object.entries(passwords).find(([name]) => name === user)?.[1];
    if (password === undefined) throw new Error(`docs/accounts.md makes ${user}, for which there is no password here`);
    params.push(password);
    return `'${user}'@'%' IDENTIFIED BY ?`;
  });
  const made = Object.keys(passwords).length;
  if (params.length !== made)
    throw new Error(`docs/accounts.md makes ${params.length} of ${made} accounts in ${block}`);
  return { sql, params };
}

/** What the page grants to an account, on everything. */
export function grantsOf(account: PageAccount): readonly string[] {
  const blocks = `${accountsSql('member')}${accountsSql('publisher')}${accountsSql('replica')}`;
  const grants = [...blocks.matchAll(/^GRANT (.*) ON \*\.\* TO '(\w+)'@'%';$/gmu)].filter(([, , to]) => to === account);
  if (grants.length === 0) throw new Error(`docs/accounts.md grants nothing to ${account}`);
  return grants.flatMap(([, list = '']) => list.split(', '));
}
