import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { slaveStatus } from '../support/link.ts';
import type { Member } from '../support/member.ts';
import { Writer } from '../support/writer.ts';
import { condition, movesUnderWrites } from './support/moves.ts';
import { Stage } from './support/stage.ts';

let stage: Stage;

before(async () => {
  // A server that opens for writes as soon as it is up, and a keepalived that lets it restart in place.
  stage = await Stage.open({ bench: { readOnly: false, fall: 10 } });
  await stage.startOperator();
  await stage.createResource();
  await stage.following('hci-a', 60_000);
});
after(async () => stage.close());

test('the standby refuses the account: it is told, and a restart of the holder is proven all the same', async () => {
  const { a, b } = stage.bench;
  await deny(b);
  // Sessions outlive their account; this one is to be refused when it comes again.
  await b.db.sql(`KILL USER ${stage.bench.accounts.look.user}`);
  const refused = await stage.statusIs(
    'the account is refused, and the replicas follow',
    (now) => condition(now, 'Accepted') === 'False/AccessDenied' && now.following === '3/3',
  );
  assert.equal(refused.source.situation, 'Stable');
  assert.equal(condition(refused, 'Ready'), 'True/Following');
  await stage.statusIs('the failover is at risk', (now) => condition(now, 'FailoverReady').startsWith('False/'));
  const { findings } = await stage.status();
  const standby = findings.find(({ finding }) => finding === 'StandbyUnreachable');
  assert.match(standby?.message ?? '', /hci-b .* refuses mxr/);

  const writer = new Writer(stage.bench);
  await writer.writes(100, a.name);
  await a.db.restart();
  await writer.writes(100, a.name);
  const status = await stage.statusIs(
    'the restart is recorded and every replica follows',
    ({ handovers, following }) => handovers[0]?.trigger === 'HolderRestarted' && following === '3/3',
  );
  await writer.stop();
  assert.equal(status.handovers[0]?.outcome, 'Completed');
  assert.equal(condition(status, 'Accepted'), 'False/AccessDenied');
  await allow(b);
  await stage.statusIs('accepted again', (now) => condition(now, 'Accepted') === 'True/Accepted');
});

test('the holder refuses the account: no silence, nothing is stopped, and the next move of the VIP is followed', async () => {
  const { a, b, replicas } = stage.bench;
  const { readOnly } = await a.db.row('SELECT @@read_only AS readOnly');
  assert.equal(readOnly, '0');
  const status = await movesUnderWrites(stage, {
    from: a,
    to: b,
    fault: async () => {
      await deny(a);
      const refused = await stage.statusIs(
        'the refusal is told',
        (now) => condition(now, 'Accepted') === 'False/AccessDenied' && now.verdict === 'Frozen',
      );
      assert.equal(refused.source.situation, 'HolderUnknown');
      assert.match(refused.source.message, /answers behind the VIP and refuses mxr.*1045/);
      assert.equal(refused.source.vip?.answers, true);
      for (const { name, db } of replicas) {
        const link = await slaveStatus(db);
        const threads = [link?.['Slave_IO_Running'], link?.['Slave_SQL_Running']];
        assert.deepEqual(threads, ['Yes', 'Yes'], `${name} goes on replicating`);
      }
      await a.kill9();
    },
    pause: true,
  });
  assert.equal(condition(status, 'Ready'), 'True/Following');
});

async function deny(member: Member): Promise<void> {
  const { user } = stage.bench.accounts.look;
  await member.db.sql("SET sql_log_bin = 0; SET PASSWORD FOR ?@'%' = PASSWORD('another')", [user]);
}

async function allow(member: Member): Promise<void> {
  const { user, password } = stage.bench.accounts.look;
  await member.db.sql("SET sql_log_bin = 0; SET PASSWORD FOR ?@'%' = PASSWORD(?)", [user, password]);
}
