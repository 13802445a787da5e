import type { BinlogFiles } from '../sql/binlog/files.ts';
import { fetchBinlogList, readBinlog } from './client-binlog.ts';
import type { PublisherTarget } from './client.ts';

const LIST_DEADLINE_MS = 30_000;

/** The binlog files on the disk of a member, by its publisher; its server need not run. */
export function publishedFiles(target: PublisherTarget): BinlogFiles {
  return {
    name: `the binlog files of ${target.name}`,
    list: (signal) => fetchBinlogList(target, { deadlineMs: LIST_DEADLINE_MS, signal }),
    read: (name, from, length, signal) => readBinlog(target, { name, from, length }, signal),
  };
}
