import { randomBytes } from 'node:crypto';
import { type PageAccount, accountsStatement } from './accounts-page.ts';
import type { MariaDbServer } from './mariadb.ts';

/** Where statements run as root. */
type Sql = Pick<MariaDbServer, 'sql'>;

export interface Account {
  readonly user: string;
  readonly password: string;
}

/** The accounts of a bench; those of mxr are made by the statements of docs/accounts.md, and by nothing else. */
export interface Accounts {
  /** mxr looks at the members with it. */
  readonly look: Account;
  /** Given to the replicas, and used by mxr's rehearsals. */
  readonly replication: Account;
  /** mxr's account on the replicas. */
  readonly replica: Account;
  /** Of the replication inside the pair, which is none of mxr's business. */
  readonly pair: Account;
  readonly application: Account;
}

export function newAccounts(): Accounts {
  return {
    look: newAccount('mxr_look' satisfies PageAccount),
    replication: newAccount('mxr_repl' satisfies PageAccount),
    replica: newAccount('mxr_replica' satisfies PageAccount),
    pair: newAccount('pair_repl'),
    application: newAccount('app'),
  };
}

/** Quote and backslash are what careless code trips over. */
function newAccount(user: string): Account {
  return { user, password: `q'${randomBytes(9).toString('hex')}\\"e` };
}

/** On the primary, with the binlog on, so that every follower receives the accounts too. */
export async function createSourceAccounts(primary: Sql, accounts: Accounts): Promise<void> {
  const { look, replication, pair, application } = accounts;
  const { sql, params } = accountsStatement('member', { mxr_look: look.password, mxr_repl: replication.password });
  await primary.sql(sql, params);
  await create(primary, pair, 'REPLICATION SLAVE ON *.*');
  await create(primary, application, 'ALL ON app.*');
}

/** The block of the page keeps it out of the binlog; its name does not exist on the source, or that would stop with 1396. */
export async function createReplicaAccount(replica: MariaDbServer, account: Account): Promise<void> {
  const { sql, params } = accountsStatement('replica', { mxr_replica: account.password });
  await replica.sql(sql, params);
}

async function create(server: Sql, account: Account, grant: string): Promise<void> {
  const { user, password } = account;
  await server.sql(`CREATE USER ?@'%' IDENTIFIED BY ?; GRANT ${grant} TO ?@'%'`, [user, password, user]);
}
