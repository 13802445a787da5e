import { randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Clock } from '../../clock.ts';
import { errorText } from '../../errors.ts';
import { PacketCutter } from '../binlog/packets.ts';
import type { BinlogFiles } from '../binlog/files.ts';
import type { BinlogRange } from '../binlog/range.ts';
import { type Account, type Login, greetingOf, isAnswer, makeSalt, parseLogin } from './login.ts';
import { type Said, answerTo, whyNotSent } from './questions.ts';
import { sendRange } from './send-range.ts';
import { OK, Wire, errorPacket } from './wire.ts';

/** What one replica is sent, once. */
export interface Delivery {
  readonly account: Account;
  readonly files: BinlogFiles;
  readonly range: BinlogRange;
  readonly signal: AbortSignal;
  readonly onSent: (bytes: number) => void;
  /** Null: everything was sent. */
  readonly onEnd: (trouble: string | null) => void;
}

export interface ReplicaSessionOptions {
  readonly socket: Socket;
  readonly clock: Clock;
  /** The version that the greeting says. */
  readonly version: string;
  /** The delivery of this account, taken: nobody else gets it any more. `null`: refused. */
  readonly logIn: (check: (account: Account) => boolean) => Delivery | null;
}

const COM_QUIT = 1;
const COM_QUERY = 3;
const COM_PING = 14;
const COM_BINLOG_DUMP = 18;
const COM_REGISTER_SLAVE = 21;
const SEND_ANNOTATE = 2;
/** A replica asks all of it at once. */
const SETUP_MS = 10_000;
const LONGEST = 65_536;
const ACCESS_DENIED = 1045;
const BINLOG_REFUSED = 1236;
const NOT_SUPPORTED = 1235;

/** One connection: a greeting, a login, the questions of a receiver, and the binlog. */
export function serveReplica(options: ReplicaSessionOptions): void {
  const session = new ReplicaSession(options);
  session.begin();
}

class ReplicaSession {
  readonly #options: ReplicaSessionOptions;
  readonly #socket: Socket;
  readonly #wire: Wire;
  readonly #cutter = new PacketCutter();
  readonly #salt = makeSalt();
  readonly #said: Said = new Map();
  readonly #timer: NodeJS.Timeout;
  #received = 0;
  #delivery: Delivery | null = null;
  #sending = false;
  #isOver = false;
  #refused: string | null = null;

  constructor(options: ReplicaSessionOptions) {
    this.#options = options;
    this.#socket = options.socket;
    this.#wire = new Wire(options.socket);
    this.#timer = setTimeout(() => this.#socket.destroy(), SETUP_MS);
  }

  begin(): void {
    const { version } = this.#options;
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => this.#closed());
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#wire.send(greetingOf(version, randomInt(1, 2 ** 31), this.#salt));
  }

  #take(chunk: Buffer): void {
    this.#received += chunk.length;
    try {
      if (this.#received > LONGEST) throw new RangeError('more than a replica has to say');
      this.#cutter.push(chunk, (payload) => {
        this.#answer(payload);
        return !this.#socket.destroyed;
      });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#socket.destroy();
    }
  }

  #answer(payload: Buffer): void {
    if (this.#sending) return void this.#socket.destroy();
    if (this.#delivery === null) return this.#logIn(parseLogin(payload));
    this.#wire.answer(1);
    switch (payload.readUInt8(0)) {
      case COM_QUERY: {
        const sql = payload.toString('utf8', 1);
        return this.#wire.send(...answerTo(sql, this.#delivery.range, this.#said, this.#options.clock.wallMs()));
      }
      case COM_REGISTER_SLAVE:
      case COM_PING:
        return this.#wire.send(OK);
      case COM_BINLOG_DUMP:
        return this.#dump(this.#delivery, payload.readUInt16LE(5));
      case COM_QUIT:
        return void this.#socket.end();
      default:
        return this.#wire.send(errorPacket(NOT_SUPPORTED, '42000', 'this source does not know that command'));
    }
  }

  #logIn({ user, answer }: Login): void {
    this.#wire.answer(2);
    const check = (account: Account): boolean =>
      account.user === user && isAnswer(answer, account.password, this.#salt);
    this.#delivery = this.#options.logIn(check);
    if (this.#delivery !== null) return this.#wire.send(OK);
    this.#wire.send(errorPacket(ACCESS_DENIED, '28000', 'this account is not known here, or was used already'));
    this.#socket.end();
  }

  #dump(delivery: Delivery, flags: number): void {
    this.#sending = true;
    const why = whyNotSent(this.#said, delivery.range);
    if (why !== null) return this.#refuse(why);
    clearTimeout(this.#timer);
    void this.#send(delivery, (flags & SEND_ANNOTATE) !== 0);
  }

  async #send(delivery: Delivery, annotate: boolean): Promise<void> {
    const { files, range, signal, onSent } = delivery;
    // Nanoseconds.
    const heartbeatMs = Math.min(Number(this.#said.get('master_heartbeat_period') ?? 0) / 1e6, 2 ** 31 - 1);
    try {
      await sendRange(this.#wire, { files, range, annotate, heartbeatMs, signal, onSent });
      if (signal.aborted || this.#socket.destroyed) return;
      this.#end(null);
    } catch (error) {
      if (!signal.aborted && !this.#socket.destroyed) this.#refuse(errorText(error));
    }
  }

  #refuse(why: string): void {
    // Error 1236 stops the receiver, which would otherwise dial again and again.
    this.#wire.send(errorPacket(BINLOG_REFUSED, 'HY000', why.slice(0, 300)));
    this.#refused = why;
    this.#end(why);
  }

  /** It is over once the system has what was sent: whoever hears of it may close what is open. */
  #end(trouble: string | null): void {
    this.#socket.setTimeout(SETUP_MS, () => this.#socket.destroy());
    this.#socket.end(() => this.#over(trouble));
  }

  #over(trouble: string | null): void {
    if (!this.#isOver) this.#delivery?.onEnd(trouble);
    this.#isOver = true;
  }

  #closed(): void {
    clearTimeout(this.#timer);
    this.#over(this.#refused ?? 'the replica closed the connection');
  }
}
