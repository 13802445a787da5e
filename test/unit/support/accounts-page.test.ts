import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { accountsStatement, grantsOf } from '../../support/accounts-page.ts';

describe('the statements of docs/accounts.md', () => {
  it('are taken whole, with other passwords in place of those of the page', () => {
    const { sql, params } = accountsStatement('member', { mxr_look: 'a', mxr_repl: 'b' });
    assert.deepEqual(params, ['a', 'b']);
    assert.equal(sql.match(/IDENTIFIED BY \?;/gu)?.length, 2);
    assert.doesNotMatch(sql, /change-me/u);
    for (const grant of grantsOf('mxr_look')) assert.ok(sql.includes(grant), grant);
    assert.match(accountsStatement('replica', { mxr_replica: 'c' }).sql, /^SET SESSION sql_log_bin = 0;/u);
  });

  it('are refused when an account is missing, here or there', () => {
    assert.throws(() => accountsStatement('member', { mxr_look: 'a' }), /makes mxr_repl/u);
    assert.throws(() => accountsStatement('replica', { mxr_replica: 'a', mxr_look: 'b' }), /makes 1 of 2/u);
  });
});
