import { type Server, type Socket, createServer } from 'node:net';
import type { SqlTarget } from '../../../src/sql/port.ts';

/** A server that does on each connection what the test says; `sockets` are all that it has ever accepted. */
export interface ScriptedServer extends AsyncDisposable {
  readonly port: number;
  readonly sockets: readonly Socket[];
  target(overrides?: Partial<SqlTarget>): SqlTarget;
}

export const PASSWORD = `Pa'ss\\word"-top-secret`;

export async function scriptedServer(onConnection: (socket: Socket) => void): Promise<ScriptedServer> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    port,
    sockets,
    target: (overrides) => ({ ...target(port), ...overrides }),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

function target(port: number): SqlTarget {
  const tls = { mode: 'Preferred' } as const;
  return { name: 'member hci-a', host: '127.0.0.1', port, user: 'look', password: PASSWORD, tls };
}

export function packet(sequence: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUIntLE(payload.length, 0, 3);
  header[3] = sequence;
  return Buffer.concat([header, payload]);
}

const CLIENT_SSL = 0x800;
/** PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH and what a client needs besides. */
const CAPABILITIES = 0x0008_0000 | 0x8000 | 0x2000 | 0x0200 | 0x0008 | 0x0001;

export function greeting(options: { tls?: boolean; version?: string } = {}): Buffer {
  const capabilities = options.tls === true ? CAPABILITIES | CLIENT_SSL : CAPABILITIES;
  const fixed = Buffer.alloc(31);
  fixed.writeUInt32LE(77, 0);
  fixed.fill('a', 4, 12);
  fixed.writeUInt16LE(capabilities & 0xffff, 13);
  fixed[15] = 45;
  fixed.writeUInt16LE(2, 16);
  fixed.writeUInt16LE(capabilities >>> 16, 18);
  fixed[20] = 21;
  const version = Buffer.from(`${options.version ?? '5.5.5-10.11.19-MariaDB-log'}\0`);
  const plugin = Buffer.from(`${'b'.repeat(12)}\0mysql_native_password\0`);
  return packet(0, Buffer.concat([Buffer.from([10]), version, fixed, plugin]));
}

export function ok(sequence: number): Buffer {
  return packet(sequence, Buffer.from([0, 0, 0, 2, 0, 0, 0]));
}

/** A result with one column, from its first packet to its last. */
export function textResult(column: string, cells: readonly (string | null)[]): Buffer {
  const end = Buffer.from([0xfe, 0, 0, 2, 0]);
  const definition = ['def', '', '', '', column, column].map((text) => lengthEncoded(text));
  const payloads = [
    Buffer.from([1]),
    Buffer.concat([...definition, Buffer.alloc(13)]),
    end,
    ...cells.map((cell) => (cell === null ? Buffer.from([0xfb]) : lengthEncoded(cell))),
    end,
  ];
  return Buffer.concat(payloads.map((payload, index) => packet(index + 1, payload)));
}

function lengthEncoded(text: string): Buffer {
  const bytes = Buffer.from(text);
  const short = bytes.length < 0xfb;
  return Buffer.concat([Buffer.from(short ? [bytes.length] : [0xfc, bytes.length & 0xff, bytes.length >>> 8]), bytes]);
}

export function errorPacket(sequence: number, errno: number, text: string): Buffer {
  const head = Buffer.from([0xff, errno & 0xff, errno >>> 8]);
  return packet(sequence, Buffer.concat([head, Buffer.from(`#HY000${text}`)]));
}

/** Logs every client in, then gives its statements to `onStatement`. */
export function speaksMariaDb(onStatement: (sql: string, socket: Socket) => void): (socket: Socket) => void {
  return (socket) => {
    let loggedIn = false;
    socket.write(greeting());
    socket.on('data', (bytes) => {
      if (loggedIn) onStatement(bytes.toString('latin1', 5), socket);
      else socket.write(ok(2));
      loggedIn = true;
    });
  };
}
