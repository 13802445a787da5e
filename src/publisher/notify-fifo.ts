import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { errorText } from '../errors.ts';
import type { Logger } from '../ops/log.ts';

export interface NotifyFifo {
  /** Opens it, or the one that keepalived has made anew under its name; cheap where nothing has changed. */
  reopen(): void;
  close(): void;
}

/**
 * keepalived's `vrrp_notify_fifo`. Opened for reading and writing: then it never waits for a writer, and does not end when
 * keepalived does. keepalived removes the pipe at its end, so the name is looked at again and again. What the lines say
 * is not used: they only wake, for anybody who may write there could say anything.
 */
export function openNotifyFifo(
  path: string,
  options: { readonly log: Logger; readonly onLine: () => void },
): NotifyFifo {
  const { log, onLine } = options;
  let open: { readonly socket: Socket; readonly inode: bigint } | null = null;
  let complaint: string | null = null;
  return { reopen, close };

  function reopen(): void {
    try {
      const status = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (status?.ino === open?.inode && open?.socket.destroyed !== true) return;
      close();
      if (status === undefined) return;
      if (!status.isFIFO()) return complain('it is not a named pipe');
      open = listen(openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
      complaint = null;
      log.info('listening to keepalived', { path });
    } catch (error) {
      complain(errorText(error));
    }
  }

  function listen(fd: number): { readonly socket: Socket; readonly inode: bigint } {
    try {
      const inode = fstatSync(fd, { bigint: true }).ino;
      const socket = new Socket({ fd, readable: true, writable: false });
      socket.on('data', onLine);
      // Opened again at the next look.
      socket.on('error', () => socket.destroy());
      return { socket, inode };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  function complain(why: string): void {
    if (why !== complaint) log.warn('the pipe of keepalived cannot be read', { path, why });
    complaint = why;
  }

  function close(): void {
    open?.socket.destroy();
    open = null;
  }
}
