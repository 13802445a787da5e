import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { ConfigSource } from './config/options.ts';

/** The only reader of the environment. The settings of each command are a table in src/config/. */

export { CONFIG_OPTIONS, describeConfig, readOperatorConfig } from './config/operator.ts';
export type { OperatorConfig } from './config/operator.ts';
export { LOG_LEVELS } from './config/options.ts';
export type { ConfigOption, ConfigSource, LogLevel } from './config/options.ts';
export { PUBLISHER_OPTIONS, describePublisherConfig, readPublisherConfig } from './config/publisher.ts';
export type { BinlogConfig, PeerConfig, PublisherConfig } from './config/publisher.ts';

export function systemSource(): ConfigSource {
  return { env: process.env, readFile: readText, hostname };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
