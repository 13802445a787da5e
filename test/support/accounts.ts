import { randomBytes } from 'node:crypto';
import type { MariaDbServer } from './mariadb.ts';

export interface Account {
  readonly user: string;
  readonly password: string;
}

/** The accounts of a bench; the grants are those of docs/accounts.md, and no more. */
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
    look: newAccount('mxr_look'),
    replication: newAccount('mxr_repl'),
    replica: newAccount('mxr_replica'),
    pair: newAccount('pair_repl'),
    application: newAccount('app'),
  };
}

/** Quote and backslash are what careless code trips over. */
function newAccount(user: string): Account {
  return { user, password: `q'${randomBytes(9).toString('hex')}\\"e` };
}

/** On the primary, with the binlog on, so that every follower receives the accounts too. */
export async function createSourceAccounts(primary: MariaDbServer, accounts: Accounts): Promise<void> {
  await create(primary, accounts.look, 'SLAVE MONITOR, BINLOG MONITOR, PROCESS ON *.*');
  await create(primary, accounts.replication, 'REPLICATION SLAVE ON *.*');
  await create(primary, accounts.pair, 'REPLICATION SLAVE ON *.*');
  await create(primary, accounts.application, 'ALL ON app.*');
}

/** Outside the binlog and under a name that the source does not have, or replication would stop with 1396. */
export async function createReplicaAccount(replica: MariaDbServer, account: Account): Promise<void> {
  await create(
    replica,
    account,
    'REPLICATION SLAVE ADMIN, SLAVE MONITOR, BINLOG MONITOR, REPLICATION SLAVE, READ_ONLY ADMIN ON *.*',
    'SET sql_log_bin=0;',
  );
}

async function create(server: MariaDbServer, account: Account, grant: string, before = ''): Promise<void> {
  const { user, password } = account;
  await server.sql(`${before} CREATE USER ?@'%' IDENTIFIED BY ?; GRANT ${grant} TO ?@'%'`, [user, password, user]);
}
