import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
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
  /** The same object, reason and message again within this time counts up the event that is there. */
  readonly dedupeMs: number;
  /** Of one object, also as a burst; more are dropped. */
  readonly perMinute: number;
}

export interface EventEmitter<Reason extends string> {
  /** Called on transitions. Never rejects: an event that cannot be written must not stop what it tells of. */
  emit(subject: EventSubject, reason: Reason, message: string): Promise<void>;
}

export function createEmitter<Reason extends string>(options: EmitterOptions<Reason>): EventEmitter<Reason> {
  return new OrderedEmitter(options);
}

/** What events.k8s.io allows, and what a person still reads. */
const MESSAGE_CHARS = 1024;
/** Events that wait for the API server; more are dropped, for they would be old when they arrive. */
const MAX_PENDING = 500;

interface Written {
  readonly ref: ObjectRef;
  readonly atMs: number;
  readonly count: number;
}

interface Allowance {
  readonly left: number;
  readonly atMs: number;
}

class OrderedEmitter<Reason extends string> implements EventEmitter<Reason> {
  readonly #options: EmitterOptions<Reason>;
  readonly #written = new Map<string, Written>();
  readonly #allowances = new Map<string, Allowance>();
  /** One write at a time, so that events arrive in the order in which things happened. */
  #last: Promise<void> = Promise.resolve();
  #pending = 0;

  constructor(options: EmitterOptions<Reason>) {
    this.#options = options;
  }

  emit(subject: EventSubject, reason: Reason, message: string): Promise<void> {
    const { onDropped, perMinute } = this.#options;
    if (!this.#allowed(subject.uid)) onDropped(reason, `more than ${perMinute} events a minute for one object`);
    else if (this.#pending >= MAX_PENDING) onDropped(reason, `${MAX_PENDING} events are waiting to be written`);
    else this.#last = this.#after(this.#last, subject, reason, message.slice(0, MESSAGE_CHARS));
    return this.#last;
  }

  async #after(last: Promise<void>, subject: EventSubject, reason: Reason, message: string): Promise<void> {
    this.#pending += 1;
    await last;
    try {
      await this.#write(subject, reason, message);
    } catch (error) {
      this.#options.onDropped(reason, errorText(error));
    }
    this.#pending -= 1;
  }

  async #write(subject: EventSubject, reason: Reason, message: string): Promise<void> {
    const { api, clock, dedupeMs } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const [key, { atMs }] of this.#written) if (nowMs - atMs >= dedupeMs) this.#written.delete(key);
    const key = JSON.stringify([subject.uid, reason, message]);
    const known = this.#written.get(key);
    if (known !== undefined) {
      const count = known.count + 1;
      try {
        await api.countEvent(known.ref, count, this.#timestamp());
        this.#written.set(key, { ...known, atMs: nowMs, count });
        return;
      } catch (error) {
        // Events live for an hour by default: write it anew.
        if (!isMxrError(error, 'KubeNotFound')) throw error;
      }
    }
    const ref = await this.#create(subject, reason, message);
    this.#written.set(key, { ref, atMs: nowMs, count: 1 });
  }

  async #create(subject: EventSubject, reason: Reason, message: string): Promise<ObjectRef> {
    const { api, table, instance } = this.#options;
    const timestamp = this.#timestamp();
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

  #timestamp(): string {
    return new Date(this.#options.clock.wallMs()).toISOString();
  }

  /** A token bucket per object. */
  #allowed(uid: string): boolean {
    const { clock, perMinute } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const [key, { atMs }] of this.#allowances) if (nowMs - atMs >= 60_000) this.#allowances.delete(key);
    const { left, atMs } = this.#allowances.get(uid) ?? { left: perMinute, atMs: nowMs };
    const now = Math.min(perMinute, left + ((nowMs - atMs) * perMinute) / 60_000);
    this.#allowances.set(uid, { left: now >= 1 ? now - 1 : now, atMs: nowMs });
    return now >= 1;
  }
}
