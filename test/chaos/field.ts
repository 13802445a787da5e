import type { Stage } from '../e2e/support/stage.ts';
import type { Bench, Replica } from '../support/bench.ts';
import type { Member } from '../support/member.ts';
import { monotonicMs } from '../support/monotonic.ts';
import { beyond, numbersOf } from './gtid.ts';
import type { Configuration } from './configuration.ts';
import type { Comeback, Kind } from './plan.ts';
import { Publishers } from './publishers.ts';
import type { Said } from './rest.ts';
import type { Supervisor } from './supervisor.ts';

const ASK_MS = 2_000;

/** What happened that a judge has to know. */
export interface Past {
  /** Faults that really happened, by their effect. */
  readonly made: Kind[];
  /** Members that held the VIP. */
  readonly holders: Set<string>;
  /** Two of them held it at one time. */
  twoHolders: boolean;
  /** Members and replicas whose server died, restarted or got other data. */
  readonly restarted: Set<string>;
  /** Members that were given another server's data: with it their binlog begins anew. */
  readonly cloned: Set<string>;
  /** Members that lost the end of their binlog. */
  readonly lostTail: Set<string>;
  /** Two members may have taken writes at one time. */
  split: boolean;
  /** Something of the pair's went another way than the plan says: nobody can say what has to follow. */
  unplanned: string[];
  approved: boolean;
  /** Gaps are filled where somebody has what is missing; no filter or number hides who that is. */
  readonly fills: boolean;
  /** What mxr said of each replica after everything was healed, one after the other. */
  readonly said: Said;
}

export function newPast(fills = false): Past {
  return {
    fills,
    made: [],
    holders: new Set(),
    twoHolders: false,
    restarted: new Set(),
    cloned: new Set(),
    lostTail: new Set(),
    split: false,
    unplanned: [],
    approved: false,
    said: new Map(),
  };
}

/** Where faults are made: the bench, who runs it, and what became of it so far. */
export class Field {
  readonly stage: Stage;
  readonly supervisor: Supervisor;
  readonly publishers: Publishers;
  readonly configuration: Configuration;
  readonly past: Past;
  /** What happened, for whoever looks into a failure. */
  readonly diary: string[] = [];
  readonly #beganAt = monotonicMs();
  readonly #queues = new Map<string, Promise<void>>();
  #lastHolder: Member;

  constructor(stage: Stage, supervisor: Supervisor, configuration: Configuration) {
    this.stage = stage;
    this.supervisor = supervisor;
    this.publishers = new Publishers(stage, configuration.hostHours);
    this.configuration = configuration;
    const { onGap, positioning, filter, equalIds } = configuration;
    this.past = newPast(onGap === 'Fill' && positioning === 'Auto' && filter === 'none' && !equalIds);
    this.#lastHolder = stage.bench.a;
  }

  get isShared(): boolean {
    return this.configuration.pair === 'shared';
  }

  get bench(): Bench {
    return this.stage.bench;
  }

  note(line: string): void {
    this.diary.push(`${((monotonicMs() - this.#beganAt) / 1000).toFixed(2).padStart(7)} ${line}`);
  }

  replica(index: number): Replica {
    const replica = this.bench.replicas[index % this.bench.replicas.length];
    if (replica === undefined) throw new Error('the bench has no replica');
    return replica;
  }

  /** Who has the address now; where nobody has it, who had it last. */
  async holder(): Promise<Member> {
    const [holder] = await this.whoHoldsVip();
    if (holder !== undefined) this.#lastHolder = holder;
    return this.#lastHolder;
  }

  async whoHoldsVip(): Promise<Member[]> {
    const holders = await this.bench.whoHoldsVip();
    for (const { name } of holders) this.past.holders.add(name);
    this.past.twoHolders ||= holders.length > 1;
    return holders;
  }

  /** Runs one thing at a time on each subject, in the order of the calls. */
  async alone(subject: string, work: () => Promise<void>): Promise<void> {
    const before = this.#queues.get(subject) ?? Promise.resolve();
    const mine = before.then(work);
    this.#queues.set(
      subject,
      mine.catch(() => undefined),
    );
    return mine;
  }

  /** Runs whatever of a member does not run, and nothing more. */
  async startMember(member: Member): Promise<void> {
    // The storage is where it is used.
    if (this.isShared && this.bench.other(member).db.running) return;
    await member.host.cable('up');
    member.thaw();
    if (!member.db.running) {
      this.past.restarted.add(member.name);
      await member.db.start();
    }
    if (!member.keepalived.running) await member.keepalived.start();
  }

  /** What people do with a member that died or lost the address, if it is not the holder (again). */
  async comesBack(member: Member, comeback: Comeback): Promise<void> {
    if (this.isShared) return this.startMember(member);
    const other = this.bench.other(member);
    const isStandby = !(await member.holdsVip()) && (await serves(other));
    if (this.configuration.pair === 'dual' || comeback === 'bare' || !isStandby) {
      if (this.configuration.pair === 'standby' && comeback !== 'bare')
        this.past.unplanned.push(`${member.name} came back as it was`);
      await this.startMember(member);
      return;
    }
    await this.#rejoins(member, comeback);
  }

  async #rejoins(member: Member, comeback: Exclude<Comeback, 'bare'>): Promise<void> {
    const holder = this.bench.other(member);
    await member.host.cable('up');
    if (!member.db.running) this.past.restarted.add(member.name);
    const keeps = comeback === 'keep' && this.#tellsWhere() && (await this.#hasAllOf(holder, member));
    if (comeback === 'keep' && !keeps) this.past.unplanned.push(`${member.name} could not be kept`);
    if (!keeps) {
      this.past.cloned.add(member.name);
      // Its data is thrown away: it need not end well.
      await member.db.kill9();
    }
    this.note(`${member.name} becomes the standby of ${holder.name}, its data: ${keeps ? 'kept' : 'cloned'}`);
    await this.bench.rejoin(member, keeps ? 'keep' : 'clone');
  }

  /** A holder that was written to before its script noted where it stood: by file nobody knows where to go on. */
  #tellsWhere(): boolean {
    return this.configuration.readOnly || this.configuration.standbyLink === 'gtid';
  }

  /** Whether the holder has every transaction that this member logged. */
  async #hasAllOf(holder: Member, member: Member): Promise<boolean> {
    await member.keepalived.stop();
    member.thaw();
    if (!member.db.running) await member.db.start();
    const mine = await member.db.row('SELECT @@gtid_binlog_state AS logged');
    const theirs = await holder.db.row('SELECT @@gtid_binlog_state AS logged, @@gtid_slave_pos AS applied');
    const more = beyond(numbersOf(mine['logged']), numbersOf(theirs['logged'], theirs['applied']));
    // Of several origins in one domain only the last is in a position: older ones count where it is known nothing lacks.
    const applied = numbersOf(theirs['applied']);
    return more.every((gtid) => isOlder(gtid, applied));
  }
}

/** Whether the position is, in the domain of this GTID, at a higher number. */
function isOlder(gtid: string, position: ReadonlyMap<string, bigint>): boolean {
  const [domain = '', , number = '0'] = gtid.split('-');
  return [...position].some(([key, reached]) => key.startsWith(`${domain}-`) && reached > BigInt(number));
}

/** Whether a member is up and writable; one that does not answer is not. */
export async function serves(member: Member): Promise<boolean> {
  if (!member.db.running || !(await member.holdsVip())) return false;
  const [row] = await member.db.sql('SELECT @@read_only AS ro', [], ASK_MS).catch(() => []);
  return row?.['ro'] === '0';
}
