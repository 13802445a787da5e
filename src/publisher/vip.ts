import { BlockList, isIP, isIPv6 } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import type { Clock } from '../clock.ts';
import { errorText } from '../errors.ts';
import type { Logger } from '../ops/log.ts';
import { openNotifyFifo } from './notify-fifo.ts';

export interface VipWatchOptions {
  /** Null: nobody said which address it is; then nothing is watched. */
  readonly address: string | null;
  /** `os.networkInterfaces`; injected, so that tests need no interface of their own. */
  readonly interfaces: () => NodeJS.Dict<NetworkInterfaceInfo[]>;
  /** Path of keepalived's `vrrp_notify_fifo`; null: there is none. */
  readonly fifo: string | null;
  readonly clock: Clock;
  readonly log: Logger;
  /** After each change; also from unknown to known. */
  readonly onChange: (held: boolean | null) => void;
}

/** Whether an interface of this host has the VIP. */
export interface VipWatch {
  /** As it was seen last; null: not known. */
  held(): boolean | null;
  /** Looks now, and reports a change before it returns. */
  check(): boolean | null;
  stop(): void;
}

const EVERY_MS = 100;
/** A line of keepalived may come before the address is on its interface, or while it is being taken away. */
const HURRY_MS = 500;
const HURRY_EVERY_MS = 10;

export function watchVip(options: VipWatchOptions): VipWatch {
  const { address, interfaces, clock, log, onChange } = options;
  let held: boolean | null = null;
  let failure: string | null = null;
  let hurryUntil = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let stopped = address === null;
  const fifo = address === null || options.fifo === null ? null : openNotifyFifo(options.fifo, { log, onLine: hurry });
  tick();
  return { held: () => held, check, stop };

  function tick(): void {
    if (stopped) return;
    check();
    fifo?.reopen();
    timer = setTimeout(tick, clock.monotonicMs() < hurryUntil ? HURRY_EVERY_MS : EVERY_MS);
  }

  function hurry(): void {
    const now = clock.monotonicMs();
    const hurries = now < hurryUntil;
    hurryUntil = now + HURRY_MS;
    if (hurries) return;
    clearTimeout(timer);
    tick();
  }

  function check(): boolean | null {
    if (stopped || address === null) return held;
    const now = look(address);
    if (now !== held) {
      held = now;
      hurryUntil = Number.NEGATIVE_INFINITY;
      onChange(held);
    }
    return held;
  }

  function look(vip: string): boolean | null {
    try {
      const found = hasAddress(interfaces(), vip);
      failure = null;
      return found;
    } catch (error) {
      const why = errorText(error);
      if (why !== failure) log.warn('the interfaces of this host cannot be listed', { error });
      failure = why;
      return null;
    }
  }

  function stop(): void {
    stopped = true;
    clearTimeout(timer);
    fifo?.close();
  }
}

export function hasAddress(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>, vip: string): boolean {
  const isThere = ({ address, internal }: NetworkInterfaceInfo): boolean => !internal && sameAddress(address, vip);
  return Object.values(interfaces).some((infos) => infos?.some(isThere) === true);
}

/** By value: IPv6 has many spellings, and an IPv4 address may come as a part of one. */
export function sameAddress(a: string, b: string): boolean {
  const [one, other] = [a, b].map((text) => text.replace(/%.*$/u, ''));
  if (one === undefined || other === undefined || isIP(one) === 0 || isIP(other) === 0) return false;
  const list = new BlockList();
  list.addAddress(other, isIPv6(other) ? 'ipv6' : 'ipv4');
  return list.check(one, isIPv6(one) ? 'ipv6' : 'ipv4');
}
