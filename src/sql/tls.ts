import type { SslOptions } from 'mysql2';
import type { SqlFailure } from './errors.ts';
import type { TlsOptions } from './port.ts';

/**
 * How to encrypt this connection; `null`: not at all.
 *
 * The decision is made from what the server offers in its greeting and never after a failed TLS handshake, so
 * `Preferred` falls back to plain text only where the server says that it has no TLS. Somebody on the path can remove
 * that offer: only `Required` and stricter withstand an active attacker, and of those only the two that verify.
 */
export function chooseTls(tls: TlsOptions, offered: boolean): SslOptions | SqlFailure | null {
  if (tls.mode === 'Disabled' || (tls.mode === 'Preferred' && !offered)) return null;
  if (!offered) return refused(`TLS is ${tls.mode}, but the server does not offer it`);
  if (tls.mode === 'Preferred' || tls.mode === 'Required') return { rejectUnauthorized: false };
  // TLS itself ignores what it cannot read, and then says of every server that it cannot be verified.
  if (tls.ca?.includes('-----BEGIN CERTIFICATE-----') !== true) {
    return refused(`TLS is ${tls.mode}, but no CA certificate in PEM form is given`);
  }
  return { rejectUnauthorized: true, verifyIdentity: tls.mode === 'VerifyIdentity', ca: tls.ca };
}

function refused(detail: string): SqlFailure {
  return { code: 'TlsRefused', retryable: false, detail };
}
