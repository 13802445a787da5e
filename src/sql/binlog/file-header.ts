import { MxrError } from '../../errors.ts';
import { formatGtid } from '../../domain/gtid.ts';
import type { SqlTarget } from '../port.ts';
import { describe } from '../session.ts';
import { parseFormat, parseGtidList } from './bodies.ts';
import { type DumpLimits, readDump } from './dump.ts';
import { EVENT } from './event.ts';
import { refusedError } from './refused.ts';

/** With what a binlog file begins. */
export interface FileHeader {
  /** Wall clock ms (whole seconds). */
  readonly createdAt: number;
  readonly serverVersion: string;
  /** Whether a server start, and not a rotation, began this file. */
  readonly byServerStart: boolean;
  readonly encrypted: boolean;
  /** The state before this file: the last GTID per domain and server id, of all that the server had logged. */
  readonly gtidList: string;
}

const FIRST_EVENT = 4;

/** Rejects with `BinlogRefused` where the server has no such file. */
export async function fileHeader(target: SqlTarget, file: string, limits: DumpLimits): Promise<FileHeader> {
  let begin: Pick<FileHeader, 'createdAt' | 'serverVersion' | 'byServerStart'> | null = null;
  let encrypted = false;
  let gtidList: string | null = null;
  const done = await readDump(target, { file, position: FIRST_EVENT }, limits, (event) => {
    if (event.type === EVENT.FormatDescription) {
      const { serverVersion, byServerStart } = parseFormat(event.body);
      begin = { createdAt: event.timestamp * 1000, serverVersion, byServerStart };
    } else if (event.type === EVENT.StartEncryption) encrypted = true;
    else if (event.type === EVENT.GtidList) gtidList = parseGtidList(event.body).map(formatGtid).join(',');
    return gtidList === null;
  });
  if (done.end === 'refused') throw refusedError(target, `read the header of ${file}`, done);
  if (begin === null || gtidList === null) {
    const detail = `the file does not begin as binlog files do (${done.end})`;
    const operation = `read the header of ${file}`;
    throw new MxrError({ operation, target: describe(target), code: 'ProtocolError', retryable: true, detail });
  }
  return { ...(begin as Pick<FileHeader, 'createdAt' | 'serverVersion' | 'byServerStart'>), encrypted, gtidList };
}
