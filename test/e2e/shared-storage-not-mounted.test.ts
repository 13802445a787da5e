import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { test } from 'node:test';
import { createSourceAccounts } from '../support/accounts.ts';
import { createSchema } from '../support/schema.ts';
import { begin } from './support/begin.ts';
import { standsStill } from './support/lost-tail.ts';
import { allReached, insertAt, remember } from './support/refusal.ts';
import { SHARED, startsOn } from './support/shared.ts';

// The mount point is empty, or a database was installed below it once: it has the ids and the file names of the other one.
test('the storage is not mounted on the other host, where a database runs on a directory of its own', async () => {
  const stage = await begin({ bench: SHARED, spec: { source: { topology: 'SharedStorage' } } });
  try {
    const { bench } = stage;
    const { a, b, replicas } = bench;
    await stage.following(a.name);
    await insertAt(a.db, 5);
    await allReached(bench, replicas, a.db);
    const untouched = await remember(replicas);
    const unmounted = `${a.db.datadir}.unmounted`;

    await a.kill9();
    await a.keepalived.stop();
    renameSync(a.db.datadir, unmounted);
    // Installed there once, with the same accounts and the same tables; the files of the binlog have the same names.
    await b.db.start();
    await createSourceAccounts(b.db, bench.accounts);
    await createSchema(b.db);
    await startsOn(bench, b);
    await insertAt(b.db, 20);

    const status = await stage.statusIs('every replica is held back', ({ replicas: all }) =>
      all.every(({ verdict, reason }) => verdict === 'Unproven' && reason === 'LineageChanged'),
    );
    for (const { message, ready } of status.replicas) {
      assert.match(
        message,
        /mysql-bin\.\d+ of hci-b is another file than on hci-a: .*See that the shared storage is mounted there/,
      );
      assert.equal(ready, false);
    }
    await standsStill(stage);
    await untouched();
  } finally {
    await stage.close();
  }
});
