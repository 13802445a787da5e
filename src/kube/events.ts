import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import { errorText, isMxrError } from '../errors.ts';
import { OPERATOR_NAME } from '../api/names.ts';
import type { EventApi } from './client.ts';
import type { ObjectRef } from './objects.ts';

export interface EventSubject extends ObjectRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly uid: string;
}

/** Every reason that may be emitted, with its type: Warning is what a person would act on. */
export type EventTable<Reason extends string> = Readonly<Record<Reason, 'Normal' | 'Warning'>>;

export interface EmitterOptions<Reason extends string> {
  readonly api: EventApi;
  readonly table: EventTable<Reason>;
  /** Pod name of this operator. */
  readonly instance: string;
  readonly clock: Clock;
  /** Told of each event that was not written, and why; must not throw. */
  readonly onDropped: (reason: Reason, why: string) => void;
  /**
   * An event is written so long after what it tells of: when the VIP moves, several come at once, each write costs the API
   * server something, and the move itself has better use for that time.
   */
  readonly settleMs: number;
  /** Ends that pause: what is still to be written is written at once. */
  readonly signal: AbortSignal;
  /** The same object, reason and message again within this time counts up the event that is there. */
  readonly dedupeMs: number;
  /** So many messages of one object, part and reason within that time are told apart; what more there are is one event. */
  readonly similar: number;
  /** Writes for one object: at once, and then a minute; more are dropped. */
  readonly burst: number;
  readonly perMinute: number;
}

export interface EventEmitter<Reason extends string> {
  /**
   * Called on transitions. Never rejects: an event that cannot be written must not stop what it tells of. `about`: the part
   * of the object that it tells of; what one part does is not similar to what another one does.
   */
  emit(subject: EventSubject, reason: Reason, message: string, about?: string): Promise<void>;
  /** Resolves when everything that was emitted so far is written or dropped. */
  written(): Promise<void>;
}

export function createEmitter<Reason extends string>(options: EmitterOptions<Reason>): EventEmitter<Reason> {
  return new OrderedEmitter(options);
}

/** What events.k8s.io allows, and what a person still reads. */
const MESSAGE_CHARS = 1024;
/** Events that wait for the API server; more are dropped, for they would be old when they arrive. */
const MAX_PENDING = 500;
const COMBINED = '(combined from similar events): ';

interface Written {
  readonly ref: ObjectRef;
  readonly atMs: number;
  readonly count: number;
}

interface Said<Reason extends string> {
  readonly subject: EventSubject;
  readonly reason: Reason;
  readonly about: string;
  readonly text: string;
  readonly at: { readonly monotonicMs: number; readonly wallMs: number };
}

interface NewEvent<Reason extends string> {
  readonly subject: EventSubject;
  readonly reason: Reason;
  readonly message: string;
  readonly timestamp: string;
}

interface Allowance {
  readonly left: number;
  readonly atMs: number;
  /** More were dropped since it was used up, and that was told. */
  readonly told: boolean;
}

/** Messages of one object, part and reason. */
interface Similar {
  readonly messages: ReadonlySet<string>;
  readonly atMs: number;
}

class OrderedEmitter<Reason extends string> implements EventEmitter<Reason> {
  readonly #options: EmitterOptions<Reason>;
  readonly #written = new Map<string, Written>();
  readonly #allowances = new Map<string, Allowance>();
  readonly #similar = new Map<string, Similar>();
  /** One write at a time, so that events arrive in the order in which things happened. */
  #last: Promise<void> = Promise.resolve();
  #pending = 0;

  constructor(options: EmitterOptions<Reason>) {
    this.#options = options;
  }

  emit(subject: EventSubject, reason: Reason, message: string, about = ''): Promise<void> {
    const { onDropped, clock } = this.#options;
    if (!this.#allowed(subject.uid, reason)) return this.#last;
    if (this.#pending >= MAX_PENDING) onDropped(reason, `${MAX_PENDING} events are waiting to be written`);
    else {
      const at = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
      this.#last = this.#after(this.#last, { subject, reason, about, text: message.slice(0, MESSAGE_CHARS), at });
    }
    return this.#last;
  }

  written(): Promise<void> {
    return this.#last;
  }

  async #after(last: Promise<void>, said: Said<Reason>): Promise<void> {
    this.#pending += 1;
    await last;
    const { settleMs, signal, clock } = this.#options;
    const left = said.at.monotonicMs + settleMs - clock.monotonicMs();
    if (left > 0) await sleep(left, signal);
    try {
      await this.#write(said);
    } catch (error) {
      this.#options.onDropped(said.reason, errorText(error));
    }
    this.#pending -= 1;
  }

  async #write({ subject, reason, about, text, at }: Said<Reason>): Promise<void> {
    const { api, clock, dedupeMs } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const [key, { atMs }] of this.#written) if (nowMs - atMs >= dedupeMs) this.#written.delete(key);
    const isOneMore = this.#isOneMore([subject.uid, reason, about], text);
    const message = isOneMore ? `${COMBINED}${text}`.slice(0, MESSAGE_CHARS) : text;
    const key = JSON.stringify([subject.uid, reason, ...(isOneMore ? [about, COMBINED] : [message])]);
    const timestamp = new Date(at.wallMs).toISOString();
    const known = this.#written.get(key);
    if (known !== undefined) {
      const count = known.count + 1;
      try {
        await api.countEvent(known.ref, { count, lastTimestamp: timestamp, message });
        this.#written.set(key, { ...known, atMs: nowMs, count });
        return;
      } catch (error) {
        // Events live for an hour by default: write it anew.
        if (!isMxrError(error, 'KubeNotFound')) throw error;
      }
    }
    const ref = await this.#create({ subject, reason, message, timestamp });
    this.#written.set(key, { ref, atMs: nowMs, count: 1 });
  }

  async #create({ subject, reason, message, timestamp }: NewEvent<Reason>): Promise<ObjectRef> {
    const { api, table, instance } = this.#options;
    const identity = JSON.stringify([subject.uid, reason, message, timestamp]);
    const ref = {
      namespace: subject.namespace,
      name: `${OPERATOR_NAME}.${createHash('sha256').update(identity).digest('hex').slice(0, 20)}`,
    };
    const { apiVersion, kind, namespace, name, uid } = subject;
    await api.createEvent(ref, {
      involvedObject: { apiVersion, kind, namespace, name, uid },
      type: table[reason],
      reason,
      message,
      firstTimestamp: timestamp,
      lastTimestamp: timestamp,
      count: 1,
      source: { component: OPERATOR_NAME },
      reportingComponent: OPERATOR_NAME,
      reportingInstance: instance,
    });
    return ref;
  }

  /** As Kubernetes' own components do: what flaps with another message each time would bury everything else. */
  #isOneMore(what: readonly string[], message: string): boolean {
    const { clock, dedupeMs, similar } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const [key, { atMs }] of this.#similar) if (nowMs - atMs >= dedupeMs) this.#similar.delete(key);
    const key = JSON.stringify(what);
    const messages = this.#similar.get(key)?.messages ?? new Set();
    const isOneMore = !messages.has(message) && messages.size >= similar;
    this.#similar.set(key, { messages: isOneMore ? messages : new Set([...messages, message]), atMs: nowMs });
    return isOneMore;
  }

  /** A token bucket per object. What is dropped is told once until there is room again. */
  #allowed(uid: string, reason: Reason): boolean {
    const { clock, burst, perMinute, onDropped } = this.#options;
    const nowMs = clock.monotonicMs();
    const fullAgainMs = (burst * 60_000) / perMinute;
    for (const [key, { atMs }] of this.#allowances) if (nowMs - atMs >= fullAgainMs) this.#allowances.delete(key);
    const { left, atMs, told } = this.#allowances.get(uid) ?? { left: burst, atMs: nowMs, told: false };
    const now = Math.min(burst, left + ((nowMs - atMs) * perMinute) / 60_000);
    const isAllowed = now >= 1;
    this.#allowances.set(uid, { left: isAllowed ? now - 1 : now, atMs: nowMs, told: !isAllowed });
    if (!isAllowed && !told) onDropped(reason, `more than ${burst} events and ${perMinute} a minute for one object`);
    return isAllowed;
  }
}
