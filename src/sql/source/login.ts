import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Reader } from '../binlog/reader.ts';

/** Whoever knows it may log in once. */
export interface Account {
  readonly user: string;
  readonly password: string;
}

const LONG_PASSWORD = 1;
const LONG_FLAG = 4;
const PROTOCOL_41 = 0x200;
const TRANSACTIONS = 0x2000;
const SECURE_CONNECTION = 0x8000;
const PLUGIN_AUTH = 0x8_0000;
const AUTH_LENENC = 0x20_0000;
const CAPABILITIES = LONG_PASSWORD | LONG_FLAG | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH;
const PLUGIN = 'mysql_native_password';
const UTF8 = 33;
const AUTOCOMMIT = 2;
const FIRST_SALT = 8;

/** Printable, so without the zero that would end it. */
export function makeSalt(): Buffer {
  return Buffer.from(randomBytes(15).toString('base64'));
}

export function makeAccount(): Account {
  const text = (bytes: number): string => randomBytes(bytes).toString('hex');
  return { user: `mxr_fill_${text(6)}`, password: text(24) };
}

/** https://mariadb.com/docs/server/reference/clientserver-protocol/1-connecting/connection (initial handshake packet) */
export function greetingOf(version: string, connectionId: number, salt: Buffer): Buffer {
  const fixed = Buffer.alloc(4 + FIRST_SALT + 1 + 2 + 1 + 2 + 2 + 1 + 10);
  fixed.writeUInt32LE(connectionId, 0);
  salt.copy(fixed, 4, 0, FIRST_SALT);
  fixed.writeUInt16LE(CAPABILITIES & 0xffff, 13);
  fixed[15] = UTF8;
  fixed.writeUInt16LE(AUTOCOMMIT, 16);
  fixed.writeUInt16LE(CAPABILITIES >>> 16, 18);
  fixed[20] = salt.length + 1;
  const rest = Buffer.concat([salt.subarray(FIRST_SALT), Buffer.from([0])]);
  // The prefix is what replication clients of MariaDB expect before a version above 5.
  return Buffer.concat([Buffer.from([10]), Buffer.from(`5.5.5-${version}\0`), fixed, rest, Buffer.from(`${PLUGIN}\0`)]);
}

export interface Login {
  readonly user: string;
  readonly answer: Buffer;
}

/** Throws RangeError on what is no login of this protocol. */
export function parseLogin(payload: Buffer): Login {
  const reader = new Reader(payload);
  const capabilities = reader.u32();
  if ((capabilities & PROTOCOL_41) === 0) throw new RangeError('a client of another protocol');
  reader.take(4 + 1 + 23);
  const user = untilZero(reader);
  const length = (capabilities & AUTH_LENENC) === 0 ? reader.u8() : reader.packed();
  return { user, answer: reader.take(length) };
}

function untilZero(reader: Reader): string {
  const bytes: number[] = [];
  for (let byte = reader.u8(); byte !== 0; byte = reader.u8()) bytes.push(byte);
  return Buffer.from(bytes).toString('utf8');
}

/** mysql_native_password: the answer is the hash of the password, mixed with the salt. */
export function isAnswer(answer: Buffer, password: string, salt: Buffer): boolean {
  const hash = sha1(Buffer.from(password));
  const mix = sha1(salt, sha1(hash));
  const wanted = Buffer.from(hash.map((byte, index) => byte ^ (mix[index] ?? 0)));
  return answer.length === wanted.length && timingSafeEqual(answer, wanted);
}

function sha1(...parts: readonly Buffer[]): Buffer {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
