import { isIP } from 'node:net';
import { z } from 'zod';
import type { TlsOptions } from '../sql/port.ts';
import type { FileReader } from './files.ts';
import { fileReader, passwordIn, tokenIn } from './files.ts';
import type { ConfigOption, ConfigSource, LogLevel, SettingsOf } from './options.ts';
import {
  DNS_LABEL,
  LOG_LEVELS,
  describeOptions,
  invalidConfig,
  oneOf,
  readSettings,
  rowsOf,
  shownOptions,
  wholeNumber,
} from './options.ts';

/** The settings of `mxr publisher`. Secrets are read here, from files or the environment, and never from a flag. */
export interface PublisherConfig {
  /** What `spec.source.members` calls this member. */
  readonly member: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** Null: none is asked for. */
  readonly token: string | null;
  /** Read anew, so that a changed file needs no restart; null: it does not hold one now. */
  readonly readToken: () => string | null;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  /** Null: nobody said which address it is. */
  readonly vip: string | null;
  readonly database: {
    readonly host: string;
    readonly port: number;
    /** Used instead of host and port. */
    readonly socketPath: string | null;
    readonly user: string;
    /** Read anew at each call, so that a changed file needs no restart. */
    readonly password: () => string;
    readonly tls: TlsOptions;
  };
  /** Between two looks at the database. */
  readonly intervalMs: number;
  /** Of one look at the database. */
  readonly timeoutMs: number;
  readonly stateDirectory: string;
  readonly journalBytes: number;
  /** keepalived's `vrrp_notify_fifo`. */
  readonly notifyFifo: string | null;
  /** The publisher of the other member. */
  readonly peer: PeerConfig | null;
  readonly importDirectory: string | null;
  /** Where this process sees the data directory of the database; null: where the database itself says that it is. */
  readonly dataDirectory: string | null;
  /** Serve the binlog files of this server; null: nobody asked for that. */
  readonly binlog: BinlogConfig | null;
  readonly logLevel: LogLevel;
}

export interface BinlogConfig {
  readonly directory: string;
  /** Files have this name, a dot and a number. */
  readonly baseName: string;
  /** Of all readers together. */
  readonly bytesPerSecond: number;
}

export interface PeerConfig {
  readonly url: string;
  readonly token: string | null;
  readonly readToken: () => string | null;
  readonly ca: string | null;
}

const TLS_MODES = ['Disabled', 'Preferred', 'Required', 'VerifyCA', 'VerifyIdentity'] as const;
const LOOPBACK = /^(127(\.\d{1,3}){3}|::1)$/u;
const MIB = 1_048_576;

/** Of a file whose name follows; the name is a part of URLs. */
const basePath = z
  .string()
  .regex(/^(\/([^\0/]{1,255}\/){0,32}[A-Za-z0-9][A-Za-z0-9._-]{0,200})?$/u, {
    error: 'is not the absolute path that @@log_bin_basename says, for example /var/lib/mysql/mysql-bin',
  })
  .refine((text) => !text.split('/').includes('..'), { error: 'must not have .. in it' });

const name = z.string().refine((text) => text === '' || DNS_LABEL.test(text), {
  error: 'is not a member name: 1 to 63 lower-case letters, digits and -',
});
const path = z.string().regex(/^(\/[^\0]{0,1023})?$/u, { error: 'is not an absolute path' });
const host = z.string().regex(/^[A-Za-z0-9._:-]{0,253}$/u, { error: 'is not a host name or IP address' });
const address = z.string().refine((text) => text === '' || isAddress(text), { error: 'is not an IP address' });
const url = z.string().regex(/^(https?:\/\/[A-Za-z0-9.:[\]_-]{1,300}\/?)?$/u, {
  error: 'is not http://host:port or https://host:port, without a user, a path and a query',
});

const { option, secret } = rowsOf('MXR_PUBLISHER_');

const OPTIONS = {
  member: option('MXR_PUBLISHER_MEMBER', '', name, {
    text: 'Name of this member in source.members of the resource.',
    shown: 'the host name up to the first dot',
  }),
  listenHost: option('MXR_PUBLISHER_LISTEN_HOST', '', address, {
    text: 'Address to listen on. Without a token only loopback is possible.',
    shown: '127.0.0.1; with a token 0.0.0.0',
  }),
  port: option('MXR_PUBLISHER_PORT', '9480', wholeNumber(0, 65_535), {
    text: 'Port to listen on; 0 takes any free port.',
  }),
  tokenFile: option('MXR_PUBLISHER_TOKEN_FILE', '', path, {
    text: 'File with the token that readers must send: 16 to 512 visible characters, for example of openssl rand -hex 32.',
  }),
  tlsCertFile: option('MXR_PUBLISHER_TLS_CERT_FILE', '', path, {
    text: 'Certificate (PEM, with its chain) to serve HTTPS with.',
  }),
  tlsKeyFile: option('MXR_PUBLISHER_TLS_KEY_FILE', '', path, { text: 'Private key (PEM) of the certificate.' }),
  vip: option('MXR_PUBLISHER_VIP', '', address, {
    text: 'The virtual IP address. Without it the publisher cannot say whether this host holds it.',
  }),
  dbHost: option('MXR_PUBLISHER_DB_HOST', '', host, {
    text: 'Address of the database of this host; never the virtual IP.',
    shown: '127.0.0.1',
  }),
  dbPort: option('MXR_PUBLISHER_DB_PORT', '3306', wholeNumber(1, 65_535), { text: 'Port of the database.' }),
  dbSocket: option('MXR_PUBLISHER_DB_SOCKET', '', path, {
    text: 'Unix socket of the database, instead of address and port.',
  }),
  dbUser: option('MXR_PUBLISHER_DB_USER', 'mxr_look', z.string().min(1).max(128), {
    text: 'Account that looks at the database; the grants of mxr_look in docs/accounts.md suffice.',
  }),
  dbPassword: secret('MXR_PUBLISHER_DB_PASSWORD', {
    text: 'Its password; from the environment only. A file is better.',
  }),
  dbPasswordFile: option('MXR_PUBLISHER_DB_PASSWORD_FILE', '', path, {
    text: 'File with its password, without the line end; read again at each connection.',
  }),
  dbTlsMode: option(
    'MXR_PUBLISHER_DB_TLS_MODE',
    '',
    z.union([z.literal(''), oneOf(TLS_MODES)], {
      error: `is none of ${TLS_MODES.join(', ')}`,
    }),
    {
      text: `TLS of the session with the database: ${TLS_MODES.join(', ')}.`,
      shown: 'Preferred; over the unix socket Disabled',
    },
  ),
  dbTlsCaFile: option('MXR_PUBLISHER_DB_TLS_CA_FILE', '', path, { text: 'CA (PEM) for VerifyCA and VerifyIdentity.' }),
  intervalMs: option('MXR_PUBLISHER_INTERVAL_MS', '250', wholeNumber(10, 60_000), {
    text: 'Pause between two looks at the database; after a move of the virtual IP it is shorter by itself.',
  }),
  timeoutMs: option('MXR_PUBLISHER_TIMEOUT_MS', '1000', wholeNumber(100, 60_000), {
    text: 'A database that does not answer a look for so long counts as not answering.',
  }),
  stateDir: option('MXR_PUBLISHER_STATE_DIR', '/var/lib/mxr', path, {
    text: 'Directory of the journal. It must survive a restart of this host.',
  }),
  journalMib: option('MXR_PUBLISHER_JOURNAL_MIB', '16', wholeNumber(1, 4_096), {
    text: 'The journal never becomes larger than this; the oldest entries go first.',
  }),
  notifyFifo: option('MXR_PUBLISHER_NOTIFY_FIFO', '', path, {
    text: 'Named pipe of vrrp_notify_fifo in keepalived.conf: a move of the virtual IP is then seen at once, else within 100 ms.',
  }),
  peerUrl: option('MXR_PUBLISHER_PEER_URL', '', url, {
    text: 'Publisher of the other member: what it said last is kept, also when it is gone.',
  }),
  peerTokenFile: option('MXR_PUBLISHER_PEER_TOKEN_FILE', '', path, {
    text: 'File with the token of the peer.',
    shown: 'MXR_PUBLISHER_TOKEN_FILE',
  }),
  peerCaFile: option('MXR_PUBLISHER_PEER_CA_FILE', '', path, {
    text: 'CA (PEM) of the certificate of the peer.',
    shown: 'the CAs of this host',
  }),
  importPos: option('MXR_PUBLISHER_IMPORT_POS', '', path, {
    text: 'Directory with mysql-bin-master-end.pos and mysql-bin-slave-end.pos of older scripts: one more witness.',
  }),
  dataDir: option('MXR_PUBLISHER_DATA_DIR', '', path, {
    text: 'Where this process sees the data directory of the database, for example the volume of its container.',
    shown: '@@datadir, where it can be seen',
  }),
  binlog: option('MXR_PUBLISHER_BINLOG', '', basePath, {
    text: 'Opt-in: lets whoever has the token read the binlog files, also while the database is down, so that replicas can be filled from them. The value of @@log_bin_basename, as this process sees it: /var/lib/mysql/mysql-bin. Needs a token, and TLS beyond loopback.',
    shown: 'no binlog file is served',
  }),
  binlogMibPerSecond: option('MXR_PUBLISHER_BINLOG_MIB_PER_SECOND', '50', wholeNumber(1, 10_000), {
    text: 'Binlog files are sent no faster than this, to all readers together.',
  }),
  logLevel: option('MXR_PUBLISHER_LOG_LEVEL', 'info', oneOf(LOG_LEVELS), {
    text: `The lowest level that is logged: ${LOG_LEVELS.join(', ')}.`,
  }),
} as const;

type Settings = SettingsOf<typeof OPTIONS>;

/** For `--help` and for docs/reference/environment.md. */
export const PUBLISHER_OPTIONS: readonly ConfigOption[] = shownOptions(OPTIONS);

export function describePublisherConfig(): string {
  return describeOptions(PUBLISHER_OPTIONS);
}

/** Rejects everything it does not know: all that is wrong at once, in one MxrError `ConfigInvalid`. */
export function readPublisherConfig(args: readonly string[], source: ConfigSource): PublisherConfig {
  const settings = readSettings(OPTIONS, args, source.env);
  const problems: string[] = [];
  const config = assemble(settings, source, fileReader(source, problems));
  checkTogether(settings, config, problems);
  if (problems.length > 0) throw invalidConfig(problems);
  return config;
}

function assemble(settings: Settings, source: ConfigSource, files: FileReader): PublisherConfig {
  const token = files.token(settings.tokenFile, OPTIONS.tokenFile.name);
  return {
    member: settings.member || (source.hostname().split('.')[0] ?? '').toLowerCase(),
    listen: { host: settings.listenHost || (token === null ? '127.0.0.1' : '0.0.0.0'), port: settings.port },
    token,
    readToken: () => tokenIn(source, settings.tokenFile),
    tls: settings.tlsCertFile === '' ? null : { certFile: settings.tlsCertFile, keyFile: settings.tlsKeyFile },
    vip: settings.vip || null,
    database: databaseOf(settings, source, files),
    intervalMs: settings.intervalMs,
    timeoutMs: settings.timeoutMs,
    stateDirectory: settings.stateDir,
    journalBytes: settings.journalMib * MIB,
    notifyFifo: settings.notifyFifo || null,
    peer: peerOf(settings, source, files),
    importDirectory: settings.importPos || null,
    dataDirectory: settings.dataDir || null,
    binlog: binlogOf(settings),
    logLevel: settings.logLevel,
  };
}

function databaseOf(settings: Settings, source: ConfigSource, files: FileReader): PublisherConfig['database'] {
  const { dbSocket, dbPasswordFile, dbPassword, dbTlsCaFile } = settings;
  const ca = files.text(dbTlsCaFile, OPTIONS.dbTlsCaFile.name);
  const first = dbPasswordFile === '' ? dbPassword : files.password(dbPasswordFile, OPTIONS.dbPasswordFile.name);
  return {
    host: settings.dbHost || '127.0.0.1',
    port: settings.dbPort,
    socketPath: dbSocket || null,
    user: settings.dbUser,
    password: () => (dbPasswordFile === '' ? first : (passwordIn(source, dbPasswordFile) ?? first)),
    tls: { mode: settings.dbTlsMode || (dbSocket === '' ? 'Preferred' : 'Disabled'), ...(ca === null ? {} : { ca }) },
  };
}

function binlogOf({ binlog, binlogMibPerSecond }: Settings): BinlogConfig | null {
  if (binlog === '') return null;
  const slash = binlog.lastIndexOf('/');
  const directory = binlog.slice(0, slash) || '/';
  return { directory, baseName: binlog.slice(slash + 1), bytesPerSecond: binlogMibPerSecond * MIB };
}

function peerOf(settings: Settings, source: ConfigSource, files: FileReader): PeerConfig | null {
  const { peerUrl, peerTokenFile, tokenFile, peerCaFile } = settings;
  // The other one is read, and complained about, in its own place.
  const own = files.token(peerTokenFile, OPTIONS.peerTokenFile.name);
  const ca = files.text(peerCaFile, OPTIONS.peerCaFile.name);
  const readToken = (): string | null => tokenIn(source, peerTokenFile || tokenFile);
  return peerUrl === '' ? null : { url: peerUrl, token: own ?? readToken(), readToken, ca };
}

function checkTogether(settings: Settings, config: PublisherConfig, problems: string[]): void {
  const { listen, database } = config;
  const { name: password } = OPTIONS.dbPassword;
  const wrong: readonly (readonly [boolean, string])[] = [
    [!DNS_LABEL.test(config.member), `${OPTIONS.member.name}: it is not set, and the host name is no member name`],
    [
      settings.tokenFile === '' && !LOOPBACK.test(listen.host),
      `${OPTIONS.listenHost.name}: ${listen.host} can be reached from other hosts, and without a token everybody there could read positions, host names and addresses of the pair; set ${OPTIONS.tokenFile.name}, or listen on 127.0.0.1`,
    ],
    [
      config.binlog !== null && settings.tokenFile === '',
      `${OPTIONS.binlog.name}: binlog files have everything that was written to the database, and without a token every program that reaches this port could read them; set ${OPTIONS.tokenFile.name}`,
    ],
    [
      config.binlog !== null && config.tls === null && !LOOPBACK.test(listen.host),
      `${OPTIONS.binlog.name}: without TLS whoever sees the packets could read everything that was written to the database; set ${OPTIONS.tlsCertFile.name} and ${OPTIONS.tlsKeyFile.name}, or listen on 127.0.0.1`,
    ],
    [
      (settings.tlsCertFile === '') !== (settings.tlsKeyFile === ''),
      `${OPTIONS.tlsCertFile.name} and ${OPTIONS.tlsKeyFile.name}: both or none of them`,
    ],
    [
      settings.dbSocket !== '' && settings.dbHost !== '',
      `${OPTIONS.dbSocket.name} and ${OPTIONS.dbHost.name}: only one of them`,
    ],
    [
      config.vip === database.host && database.socketPath === null,
      `${OPTIONS.dbHost.name}: behind the virtual IP there may be the database of another host; give the address of this one, or its unix socket`,
    ],
    [
      settings.dbPassword !== '' && settings.dbPasswordFile !== '',
      `${password} and ${OPTIONS.dbPasswordFile.name}: only one of them`,
    ],
    [
      settings.dbPassword === '' && settings.dbPasswordFile === '' && settings.dbSocket === '',
      `${OPTIONS.dbPasswordFile.name}: it is not set; give the password of ${database.user} there, or in ${password}`,
    ],
    [
      database.tls.mode.startsWith('Verify') && settings.dbTlsCaFile === '',
      `${OPTIONS.dbTlsCaFile.name}: ${database.tls.mode} needs it`,
    ],
    [
      settings.peerUrl === '' && (settings.peerTokenFile !== '' || settings.peerCaFile !== ''),
      `${OPTIONS.peerUrl.name}: it is not set, but a token or CA of the peer is`,
    ],
    [settings.stateDir === '', `${OPTIONS.stateDir.name}: it is empty`],
  ];
  problems.push(...wrong.flatMap(([isWrong, text]) => (isWrong ? [text] : [])));
}

function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%');
}
