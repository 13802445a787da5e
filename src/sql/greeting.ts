import type { Socket } from 'node:net';
import type { SqlFailure } from './errors.ts';

/** What the server says of itself before anybody has logged in. */
export interface Greeting {
  readonly serverVersion: string;
  readonly connectionId: number;
  readonly offersTls: boolean;
  /** Whether `\` is an ordinary character in this server's strings, so that escaping with it would be unsafe. */
  readonly noBackslashEscapes: boolean;
}

const HEADER = 4;
const LONGEST = 4096;
const PROTOCOL_10 = 10;
const ERROR_PACKET = 0xff;
const CLIENT_SSL = 0x800;
const STATUS_NO_BACKSLASH_ESCAPES = 0x200;

/**
 * Reads the server's first packet and puts it back, so that whoever speaks next finds the socket untouched. `null`: the
 * server refused with an error packet, which mysql2 translates. Resolves late or never: the caller has the deadline.
 */
export function peekGreeting(socket: Socket): Promise<Greeting | SqlFailure | null> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    socket.on('data', onData);
    function onData(chunk: Buffer): void {
      bytes = Buffer.concat([bytes, chunk]);
      const packet = firstPacket(bytes);
      if (packet === undefined) return;
      socket.pause();
      socket.off('data', onData);
      socket.unshift(bytes);
      resolve(packet === 'foreign' ? foreign(bytes) : parseGreeting(packet));
    }
  });
}

function firstPacket(bytes: Buffer): Buffer | 'foreign' | undefined {
  if (bytes.length < HEADER) return undefined;
  const length = bytes.readUIntLE(0, 3);
  if (length > LONGEST || length === 0 || bytes[3] !== 0) return 'foreign';
  return bytes.length < HEADER + length ? undefined : bytes.subarray(HEADER, HEADER + length);
}

function foreign(bytes: Buffer): SqlFailure {
  const begin = JSON.stringify(bytes.subarray(0, 16).toString('latin1'));
  const detail = `what answers there is not a MariaDB server: it begins with ${begin}`;
  return { code: 'ProtocolError', retryable: false, detail };
}

/** https://mariadb.com/docs/server/reference/clientserver-protocol/1-connecting/connection (initial handshake packet) */
function parseGreeting(packet: Buffer): Greeting | SqlFailure | null {
  if (packet[0] === ERROR_PACKET) return null;
  const versionEnd = packet.indexOf(0, 1);
  if (packet[0] !== PROTOCOL_10 || versionEnd < 0 || packet.length < versionEnd + 20) return foreign(packet);
  const rest = packet.subarray(versionEnd + 1);
  return {
    serverVersion: packet.toString('latin1', 1, versionEnd).replace(/^5\.5\.5-/, ''),
    connectionId: rest.readUInt32LE(0),
    offersTls: (rest.readUInt16LE(13) & CLIENT_SSL) !== 0,
    noBackslashEscapes: (rest.readUInt16LE(16) & STATUS_NO_BACKSLASH_ESCAPES) !== 0,
  };
}
