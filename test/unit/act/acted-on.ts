import type { Execution, ExecuteContext } from '../../../src/act/execution.ts';
import { execute } from '../../../src/act/execute.ts';
import type { GtidPosition } from '../../../src/domain/gtid.ts';
import type { Coordinates, Link, ServerLook } from '../../../src/domain/observation.ts';
import type { LinkTarget, Plan } from '../../../src/domain/plan.ts';
import { planAdopt, planMove, planRestore } from '../../../src/domain/plan.ts';
import type { Proven } from '../../../src/domain/proof.ts';
import type { SqlSession } from '../../../src/sql/port.ts';
import { holderLook, link, position, state } from '../domain/pair-fixture.ts';

/** A replica that does what it is told, and writes down what that was. */
export interface ActedOn {
  link: Link;
  gtid: string;
  readonly statements: string[];
  /** Parallel workers. */
  readonly workers?: number;
  /** What is left in its relay log, each time it is asked. */
  readonly rest?: ('Whole' | 'Half')[];
  /** How far it has received at the next look, once its link was started. */
  readonly arrives?: (read: Coordinates) => Coordinates;
  /** Statements and looks, in order. */
  readonly asked: string[];
}

export const PLACE: Coordinates = { file: 'a-bin.000003', position: 900 };
export const TARGET: LinkTarget = { member: 'a', host: '10.0.0.11', port: 3306, through: 'Member' };

export function replicaAt(gtid: string, change: Partial<Link> = {}): ActedOn {
  return {
    link: link({ host: '10.0.0.100', usingGtid: 'No', read: PLACE, exec: PLACE, ...change }),
    gtid,
    statements: [],
    asked: [],
  };
}

function parts(gtid: string, positioning: 'GTID' | 'FilePosition') {
  const proven: Proven = {
    kind: 'Proven',
    proof: 'SameServer',
    gtid: position(gtid),
    at: PLACE,
    contains: state(gtid),
    because: '',
  };
  const common = { pod: 'orders-0', from: 'a', target: TARGET, positioning, trigger: 'VipMoved' } as const;
  return { ...common, proven, received: state(gtid) };
}

export function adoption(gtid: string, positioning: 'GTID' | 'FilePosition' = 'GTID'): Plan {
  return planAdopt(parts(gtid, positioning), { host: '10.0.0.100', port: 3306 });
}

export function move(gtid: string, positioning: 'GTID' | 'FilePosition' = 'GTID'): Plan {
  return planMove(parts(gtid, positioning));
}

export function undoing(gtid: string): Plan {
  return planRestore({ ...parts(gtid, 'GTID'), target: { ...TARGET, host: '10.0.0.100', through: 'VIP' } });
}

interface Surroundings {
  /** BINLOG_GTID_POS of the replica's coordinates on the holder. */
  readonly holderSays?: GtidPosition | null;
  readonly holder?: Partial<ServerLook>;
  readonly fence?: (statements: readonly string[]) => void;
}

export async function carriedOut(plan: Plan, replica: ActedOn, around: Surroundings = {}): Promise<Execution> {
  const dumps = [{ connectionId: 1, address: '10.1.0.1', user: 'repl', ageSeconds: 9 }];
  let now = 0;
  const target = holderLook({ dumps, end: PLACE, ...around.holder });
  const context = {
    connect: async () => session(replica),
    replica: { name: 'replica orders-0' },
    replicaIp: '10.1.0.1',
    link: { channel: '', user: 'u', password: 'p', netTimeoutSeconds: 8, tls: { mode: 'Disabled' } },
    keepReadOnly: true,
    leaseDurationMs: 15_000,
    statementDeadlineMs: 1_000,
    clock: { monotonicMs: () => (now += 1_000), wallMs: () => 5 },
    signal: new AbortController().signal,
    fence: () => around.fence?.(replica.statements),
    targetLook: () => ({ look: target, at: Number.POSITIVE_INFINITY }),
    relayRest: async () => replica.rest?.shift() ?? 'Whole',
    gtidOnTarget: async () => around.holderSays ?? null,
    lookAt: async () => {
      replica.asked.push('look');
      return {
        ...receive(replica),
        gtidSlavePos: position(replica.gtid),
        readOnly: false,
        links: [replica.link],
        parallelThreads: replica.workers ?? 0,
      };
    },
    onStep: () => undefined,
    onStatement: () => undefined,
  };
  return execute(plan, context as unknown as ExecuteContext);
}

function receive(replica: ActedOn): object {
  const { link: now, arrives } = replica;
  if (arrives !== undefined && now.io === 'Yes') replica.link = { ...now, read: arrives(now.read) };
  return {};
}

function session(replica: ActedOn): SqlSession {
  const query = async (sql: string, params: readonly unknown[]) => {
    if (sql.startsWith('SELECT GET_LOCK')) return [{ taken: '1' }];
    if (/^(STOP|CHANGE|START|SET GLOBAL)/.test(sql)) {
      const name = sql.replace(/ (TO|=) .*/, '');
      replica.statements.push(name);
      replica.asked.push(name);
    }
    replica.link = { ...replica.link, ...effectOf(sql, params) };
    return [];
  };
  return { query, destroy: () => undefined } as unknown as SqlSession;
}

function effectOf(sql: string, [host]: readonly unknown[]): Partial<Link> {
  if (sql === 'STOP SLAVE IO_THREAD') return { io: 'No' };
  if (sql === 'STOP SLAVE') return { io: 'No', sql: 'No' };
  if (sql.startsWith('START SLAVE')) return { io: 'Yes', sql: 'Yes' };
  if (!sql.startsWith('CHANGE MASTER')) return {};
  return { host: String(host), usingGtid: sql.includes('MASTER_USE_GTID = slave_pos') ? 'Slave_Pos' : 'No' };
}
