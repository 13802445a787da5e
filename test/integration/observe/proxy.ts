import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** An address that comes and goes on this machine, with a TCP proxy behind it that leads to one server or another. */
export interface FakeVip {
  readonly host: string;
  readonly port: number;
  /** New connections go there from now on; those that stand stay where they are, as a session kept across a flap does. */
  lead(port: number): void;
  /** The address is gone: packets to it vanish, nobody refuses anything. */
  vanish(): void;
  appear(): void;
  /** The address stays, nothing listens. */
  refuse(): Promise<void>;
  listen(): Promise<void>;
  /** Takes connections and says nothing, like a host whose database hangs. */
  hang(): void;
  /** Connections taken so far. */
  taken(): number;
  /** Connections that stand now. */
  open(): number;
  close(): Promise<void>;
}

/** Needs the namespaces of a sandbox. Each that lives at the same time has a number of its own. */
export async function startFakeVip(leadTo: number, number = 0): Promise<FakeVip> {
  const host = `10.9.${number}.2`;
  // A cable to nowhere: packets to whatever lies behind it are lost, and nobody is asked for a hardware address.
  const cable = `fakevip${number}`;
  ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', `${cable}-end`);
  ip('address', 'add', `10.9.${number}.1/24`, 'dev', cable);
  ip('link', 'set', `${cable}-end`, 'up');
  ip('link', 'set', cable, 'arp', 'off', 'up');
  const sockets = new Set<Socket>();
  let target: number | null = leadTo;
  let taken = 0;
  let server = createServer(onConnection);
  const port = await listenOn(server, 0);
  let there = false;
  appear();
  return { host, port, lead, vanish, appear, refuse, listen, hang, taken: () => taken, open, close };

  function onConnection(socket: Socket): void {
    taken += 1;
    keep(socket);
    if (target === null) return;
    const onward = connect({ host: '127.0.0.1', port: target, noDelay: true });
    keep(onward);
    socket.setNoDelay(true);
    socket.pipe(onward).pipe(socket);
    socket.once('close', () => onward.destroy());
    onward.once('close', () => socket.destroy());
  }

  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  }

  function lead(to: number): void {
    target = to;
  }

  function hang(): void {
    target = null;
  }

  function vanish(): void {
    if (there) ip('address', 'del', `${host}/24`, 'dev', cable);
    there = false;
  }

  function appear(): void {
    if (!there) ip('address', 'add', `${host}/24`, 'dev', cable);
    there = true;
  }

  function refuse(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    for (const socket of sockets) socket.destroy();
    return closed;
  }

  async function listen(): Promise<void> {
    server = createServer(onConnection);
    await listenOn(server, port);
  }

  function open(): number {
    return [...sockets].filter((socket) => socket.localPort === port).length;
  }

  async function close(): Promise<void> {
    if (server.listening) await refuse();
    ip('link', 'del', cable);
  }
}

function listenOn(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '0.0.0.0', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

function ip(...args: string[]): void {
  execFileSync('ip', args);
}

const ESTABLISHED = '01';
const SYN_SENT = '02';

/** Sockets of this network namespace that are connected, or connecting, to this port. */
export function socketsTo(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1);
  return rows.filter((row) => {
    const [, , remote = '', state = ''] = row.trim().split(/\s+/);
    return remote.endsWith(`:${hex}`) && (state === ESTABLISHED || state === SYN_SENT);
  }).length;
}
