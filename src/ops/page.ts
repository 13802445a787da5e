import type { HandoverRecord, MemberStatus, ReplicaStatus, Status } from '../api/v1alpha1.ts';
import { READY_VERDICTS } from '../api/reasons.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { publishers } from './page-publishers.ts';
import { age, place, seconds, time, yesNo } from './page-text.ts';
import { resourceJson, worstFirst } from './view.ts';
import type { ResourceView } from './view.ts';

/** The status page: one document, made on the server, without scripts and without anything loaded from elsewhere. */

export const STYLE = `
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem; color: #1b1f24; background: #fff; }
h1 { font-size: 1.2rem; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .3rem; } h3 { font-size: .9rem; margin: .8rem 0 .2rem; }
table { border-collapse: collapse; margin: .2rem 0; } th, td { text-align: left; padding: .15rem .7rem .15rem 0; vertical-align: top; }
th { color: #59636e; font-weight: 500; } td { border-top: 1px solid #d8dee4; overflow-wrap: anywhere; max-width: 48rem; }
.good { color: #1a7f37; } .bad { color: #cf222e; font-weight: 600; } .wait { color: #9a6700; } .dim { color: #59636e; }
code { font: 12px ui-monospace, monospace; }
@media (prefers-color-scheme: dark) { body { background: #0d1117; color: #e6edf3; } td { border-color: #30363d; } }
`;

/** One text, for its hash is in the policy of the page. */
const STYLE_ELEMENT: Html = { html: `<style>${STYLE}</style>` };

/** More than this makes a page that nobody reads and that is slow to make; the others are one line each. */
const MAX_DETAILS = 50;

export interface PageOptions {
  readonly views: readonly ResourceView[];
  /** `namespace/name`: only this one. */
  readonly only: string | undefined;
  readonly leader: boolean;
  readonly now: number;
}

export function statusPage({ views, only, leader, now }: PageOptions): string {
  const sorted = worstFirst(views);
  const shown = only === undefined ? sorted : sorted.filter((view) => idOf(view) === only);
  const overview = shown.length > 1 ? summary(shown) : html``;
  const detailed = shown.slice(0, MAX_DETAILS).map((view) => details(view, now));
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>mxr</title>
        <meta http-equiv="refresh" content="5" />
        <meta name="viewport" content="width=device-width" />
        ${STYLE_ELEMENT}
      </head>
      <body>
        <h1>mxr</h1>
        <p class="dim">
          ${time(now)} &middot; this process is ${leader ? 'the leader' : 'not the leader: it acts on nothing'} &middot;
          ${shown.length} ${shown.length === 1 ? 'resource' : 'resources'}, the worst first
        </p>
        ${shown.length === 0 ? html`<p>${nothing(only, leader)}</p>` : html``} ${overview}${detailed}
        ${shown.length > MAX_DETAILS ? html`<p>Details of the first ${MAX_DETAILS}; click a name for one of the others.</p>` : html``}
      </body>
    </html> `.html;
}

function nothing(only: string | undefined, leader: boolean): string {
  if (!leader) return 'Another process leads, and only the leader looks: ask its pod, which the Lease names.';
  return only === undefined ? 'There is no MariaDBExternalReplica here.' : `There is no ${only}.`;
}

function summary(views: readonly ResourceView[]): Html {
  const rows = views.map(
    (view) =>
      html`<tr>
        <td><a href="/?resource=${encodeURIComponent(idOf(view))}">${idOf(view)}</a></td>
        <td>${view.status.holder || '?'}</td>
        <td>${view.status.following}</td>
        <td>${verdict(view.status.verdict)}</td>
        <td>${condition(view.status, 'Ready')}</td>
        <td>${condition(view.status, 'FailoverReady')}</td>
        <td>${seconds(view.status.lagSeconds)}</td>
      </tr>`,
  );
  return html`<table>
    <tr>
      <th>resource</th>
      <th>holder</th>
      <th>following</th>
      <th>verdict</th>
      <th>ready</th>
      <th>failover-ready</th>
      <th>lag</th>
    </tr>
    ${rows}
  </table>`;
}

function details(view: ResourceView, now: number): Html {
  const { status } = view;
  const { vip, handover, suspend } = resourceJson(view);
  const mode = suspend ? 'suspended' : `handover ${handover || '?'}`;
  return html`<h2>${idOf(view)}</h2>
    <p>
      VIP <code>${vip || '?'}</code> &middot; holder <b>${status.holder || 'not known'}</b> &middot;
      ${status.source.situation ?? 'not looked yet'} &middot; following ${status.following || '?'} &middot; lag
      ${seconds(status.lagSeconds)} &middot; ${mode} &middot; <span class="dim">seen ${age(view.observedAt, now)}</span
      ><br />${status.source.message}
    </p>
    ${conditions(status)}${members(status.source.members)}${publishers(status, now)}${replicas(status.replicas)}${findings(status)}${handovers(status.handovers)}`;
}

function conditions({ conditions: list }: Status): Html {
  const bad = list.filter((one) => one.status !== 'True');
  if (bad.length === 0) return html``;
  const rows = bad.map(
    (one) =>
      html`<tr>
        <td>${one.type}</td>
        <td class="${one.status === 'False' ? 'bad' : 'wait'}">${one.status}</td>
        <td>${one.reason}</td>
        <td>${one.message}</td>
        <td class="dim">${one.lastTransitionTime}</td>
      </tr>`,
  );
  return html`<h3>Conditions that are not True</h3>
    <table>
      <tr>
        <th>condition</th>
        <th></th>
        <th>reason</th>
        <th>message</th>
        <th>since</th>
      </tr>
      ${rows}
    </table>`;
}

function members(list: readonly MemberStatus[]): Html {
  const rows = list.map(
    (one) =>
      html`<tr>
        <td>${one.name}</td>
        <td class="${one.reachable ? 'good' : 'bad'}">${one.reachable ? 'answers' : 'silent'}</td>
        <td>${yesNo(one.holdsVip)}</td>
        <td>${yesNo(one.readOnly)}</td>
        <td>${one.version ?? ''}</td>
        <td><code>${one.gtidBinlogPos ?? ''}</code></td>
        <td><code>${place(one.file, one.position)}</code></td>
        <td>${one.message}</td>
      </tr>`,
  );
  return html`<h3>Members</h3>
    <table>
      <tr>
        <th>member</th>
        <th></th>
        <th>VIP</th>
        <th>read-only</th>
        <th>version</th>
        <th>GTID</th>
        <th>binlog</th>
        <th></th>
      </tr>
      ${rows}
    </table>`;
}

function replicas(list: readonly ReplicaStatus[]): Html {
  const rows = list.map(
    (one) =>
      html`<tr>
        <td>${one.pod}</td>
        <td>${verdict(one.verdict)}</td>
        <td>${one.reason === one.verdict ? '' : one.reason}</td>
        <td>${one.attachedTo ?? ''}</td>
        <td>${seconds(one.lagSeconds)}</td>
        <td>${yesNo(one.serving)}</td>
        <td><code>${one.gtid ?? ''}</code></td>
        <td>${one.message}</td>
      </tr>`,
  );
  return html`<h3>Replicas</h3>
    <table>
      <tr>
        <th>pod</th>
        <th>verdict</th>
        <th>reason</th>
        <th>attached to</th>
        <th>lag</th>
        <th>serves</th>
        <th>GTID</th>
        <th></th>
      </tr>
      ${rows}
    </table>`;
}

function findings({ findings: list }: Status): Html {
  if (list.length === 0) return html``;
  const rows = list.map(
    (one) =>
      html`<tr>
        <td class="${one.severity === 'error' ? 'bad' : 'wait'}">${one.finding}</td>
        <td>${one.subject}</td>
        <td>${one.message}</td>
      </tr>`,
  );
  return html`<h3>Findings of the audit</h3>
    <table>
      ${rows}
    </table>`;
}

function handovers(list: readonly HandoverRecord[]): Html {
  if (list.length === 0) return html``;
  const rows = list.map((one) => {
    const proofs = [...new Set(one.replicas.map((replica) => replica.proof ?? 'none'))].join(', ');
    return html`<tr>
      <td>${one.finishedAt}</td>
      <td>${one.from || '?'} &rarr; ${one.to || '?'}</td>
      <td>${one.trigger}</td>
      <td class="${one.outcome === 'Completed' ? 'good' : 'bad'}">${one.outcome}</td>
      <td>${one.durationMs} ms</td>
      <td>${one.replicas.length}</td>
      <td>${proofs}</td>
    </tr>`;
  });
  return html`<h3>Handovers</h3>
    <table>
      <tr>
        <th>finished</th>
        <th></th>
        <th>because</th>
        <th>outcome</th>
        <th>took</th>
        <th>replicas</th>
        <th>proof</th>
      </tr>
      ${rows}
    </table>`;
}

function idOf({ namespace, name }: ResourceView): string {
  return `${namespace}/${name}`;
}

const READY: readonly string[] = READY_VERDICTS;
const IN_PROGRESS = [
  'Waiting',
  'AwaitingApproval',
  'Reseeding',
  'Filling',
  'HandingOver',
  'Suspended',
  'StoppedByHand',
];

function verdict(name: string | undefined): Html {
  if (name === undefined) return html`<span class="dim">?</span>`;
  const style = READY.includes(name) ? 'good' : IN_PROGRESS.includes(name) ? 'wait' : 'bad';
  return html`<span class="${style}">${name}</span>`;
}

function condition(status: Status, type: string): Html {
  const found = status.conditions.find((one) => one.type === type)?.status ?? 'Unknown';
  const style = { True: 'good', False: 'bad', Unknown: 'dim' }[found];
  return html`<span class="${style}">${found}</span>`;
}
