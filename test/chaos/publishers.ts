import { PUBLISHER_TOKEN, PublisherProcess, publishing } from '../e2e/support/publisher-process.ts';
import { NAMESPACE } from '../e2e/support/stage.ts';
import type { Stage } from '../e2e/support/stage.ts';
import type { Member } from '../support/member.ts';

const CHECK_MS = 500;

/** Does for the publishers what systemd does on the hosts: one that ended is started again, unless a fault keeps it down. */
export class Publishers {
  readonly #stage: Stage;
  readonly #clockHours: readonly [number, number];
  readonly #running = new Map<string, PublisherProcess>();
  readonly #starting = new Set<string>();
  readonly #down = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  /** `clockHours`: how far the clocks of the two hosts are off. */
  constructor(stage: Stage, clockHours: readonly [number, number]) {
    this.#stage = stage;
    this.#clockHours = clockHours;
  }

  /** Resolves when both listen, and the resource that is created next has them. */
  async start(): Promise<void> {
    const { api, bench } = this.#stage;
    await api.createSecret(NAMESPACE, 'orders-publisher', { token: PUBLISHER_TOKEN });
    await Promise.all(bench.members.map((member) => this.#start(member)));
    this.#timer = setInterval(() => this.#restart(), CHECK_MS);
    this.#timer.unref();
  }

  /** Whether there was one to kill. */
  async kill(member: Member): Promise<boolean> {
    this.#down.add(member.name);
    const publisher = this.#running.get(member.name);
    const ran = publisher?.running === true;
    await publisher?.kill9();
    return ran;
  }

  release(): void {
    this.#down.clear();
  }

  end(): void {
    clearInterval(this.#timer);
  }

  /** What the resource says of the members. */
  get source(): Record<string, unknown> {
    return publishing(this.#stage.bench);
  }

  #restart(): void {
    for (const member of this.#stage.bench.members) {
      const isDue = !this.#down.has(member.name) && !this.#starting.has(member.name) && isOn(member);
      // It comes to nothing on a host that loses its power meanwhile, and is tried again.
      if (isDue && this.#running.get(member.name)?.running !== true) this.#start(member).catch(() => undefined);
    }
  }

  async #start(member: Member): Promise<void> {
    this.#starting.add(member.name);
    const { bench } = this.#stage;
    const hours = this.#clockHours[member === bench.a ? 0 : 1];
    try {
      this.#running.set(member.name, await PublisherProcess.withClock(bench, member, hours));
    } finally {
      this.#starting.delete(member.name);
    }
  }
}

/** Of a host without power nothing runs. */
function isOn({ db, keepalived }: Member): boolean {
  return db.running || keepalived.running;
}
