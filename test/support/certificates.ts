import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificates {
  /** Server options that make a MariaDB offer TLS with this certificate. */
  readonly server: { readonly 'ssl-ca': string; readonly 'ssl-cert': string; readonly 'ssl-key': string };
  /** PEM. */
  readonly ca: string;
}

/** A throw-away CA and one server certificate for these names, made by openssl. */
export function makeCertificates(directory: string, subjectAltName: string): Certificates {
  mkdirSync(directory, { recursive: true });
  const path = (name: string): string => join(directory, name);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe', cwd: directory });
  const newKey = ['-newkey', 'rsa:2048', '-nodes'];
  openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test CA');
  openssl('req', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=test server');
  writeFileSync(path('ext'), `subjectAltName=${subjectAltName}\n`);
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'ext'];
  openssl('x509', '-req', '-in', 'server.csr', '-out', 'server.pem', ...signing);
  return {
    server: { 'ssl-ca': path('ca.pem'), 'ssl-cert': path('server.pem'), 'ssl-key': path('server.key') },
    ca: readFileSync(path('ca.pem'), 'utf8'),
  };
}
