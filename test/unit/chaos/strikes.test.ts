import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Field } from '../../chaos/field.ts';
import { newPast } from '../../chaos/field.ts';
import type { Fault, Kind } from '../../chaos/plan.ts';
import { strike } from '../../chaos/strikes.ts';

const FAULT: Fault = { kind: 'flap', gapMs: 0, forMs: 0, replica: 0, comeback: 'keep', level: 0 };

/** A field on which these parts are, and nothing else. */
function field(parts: object): Field {
  const alone: Field['alone'] = (_, work) => work();
  const fake = { past: newPast(), isShared: false, note: () => undefined, alone, ...parts };
  return fake as unknown as Field;
}

/** The kinds that count after it was struck, and after it was healed. */
async function made(kind: Kind, parts: object): Promise<[struck: Kind[], healed: Kind[]]> {
  const here = field(parts);
  const heal = await strike(here, { ...FAULT, kind });
  const struck = [...here.past.made];
  await heal();
  return [struck, [...here.past.made]];
}

describe('a fault counts', () => {
  it('at once, where its effect shows at once', async () => {
    const supervisor = (ran: boolean) => ({ supervisor: { kill: async () => ran, release: () => undefined } });
    assert.deepEqual(await made('kill-operator', supervisor(true)), [['kill-operator'], ['kill-operator']]);
    assert.deepEqual(await made('kill-operator', supervisor(false)), [[], []]);
  });

  it('not where its target is not there, is dead, or stands still already', async () => {
    const db = { running: false, kill9: async () => undefined, restart: async () => undefined };
    const replica = () => ({ name: 'r1', db });
    for (const kind of ['kill-replica', 'restart-replica', 'freeze-replica', 'lock-replica'] as const)
      assert.deepEqual((await made(kind, { replica }))[1], [], kind);
    const stage = { api: { state: () => 'Gone', kill: async () => undefined, restart: async () => undefined } };
    for (const kind of ['api-down', 'api-frozen'] as const)
      assert.deepEqual((await made(kind, { stage }))[1], [], kind);
  });

  it('by the packets that it kept back until it is healed', async () => {
    const dropping = (packets: number) => {
      const drop = Object.assign(async () => undefined, { packets: async () => packets });
      const host = { drop: async () => drop };
      const member = { host, address: '10.0.0.1' };
      return {
        configuration: { through: 'Auto' },
        bench: { op: host, vip: { port: 3306 }, other: () => member },
        replica: () => ({ host }),
        holder: async () => member,
      };
    };
    for (const kind of ['half-open', 'packet-loss'] as const) {
      assert.deepEqual(await made(kind, dropping(4)), [[], [kind]]);
      assert.deepEqual(await made(kind, dropping(0)), [[], []]);
    }
  });

  it('not where it could not be made', async () => {
    const here = field({ supervisor: { kill: async () => Promise.reject(new Error('no such process')) } });
    await (
      await strike(here, { ...FAULT, kind: 'kill-operator' })
    )();
    assert.deepEqual([here.past.made, here.past.unplanned], [[], ['strike kill-operator']]);
  });

  it('not where nobody held the VIP that was to move, or that was to fall silent', async () => {
    const member = (holds: boolean) => ({
      name: 'hci-a',
      holdsVip: async () => holds,
      planned: async () => undefined,
      keepalived: { stop: async () => undefined },
    });
    const parts = {
      holder: async () => member(false),
      comesBack: async () => undefined,
      startMember: async () => undefined,
      bench: { a: member(false), b: member(false), whoHoldsVip: async () => [] },
    };
    for (const kind of ['planned-move', 'silent-vip'] as const)
      assert.deepEqual((await made(kind, parts))[1], [], kind);
  });
});
