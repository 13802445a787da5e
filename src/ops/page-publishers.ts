import type { MemberStatus, Status } from '../api/v1alpha1.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { age, yesNo } from './page-text.ts';

/** One line for each member that has a publisher; nothing where none has. */
export function publishers({ source, findings }: Status, now: number): Html {
  const rows = source.members.flatMap(({ name, publisher }) => {
    if (publisher === undefined) return [];
    const disagrees = findings.filter(({ finding, subject }) => finding === 'PublisherDisagrees' && subject === name);
    return [row(name, publisher, { now, disagrees: disagrees.map(({ message }) => message) })];
  });
  if (rows.length === 0) return html``;
  return html`<h3>Publishers</h3>
    <table>
      <tr>
        <th>beside</th>
        <th></th>
        <th>its host has the VIP</th>
        <th>looked at its database</th>
        <th></th>
      </tr>
      ${rows}
    </table>`;
}

interface Shown {
  readonly now: number;
  readonly disagrees: readonly string[];
}

function row(name: string, publisher: NonNullable<MemberStatus['publisher']>, { now, disagrees }: Shown): Html {
  const { reachable, vipHeld, observedAt, message } = publisher;
  const state = !reachable ? 'silent' : disagrees.length > 0 ? 'disagrees' : 'answers';
  const notes = [...(message === undefined ? [] : [message]), ...disagrees].join('; ');
  return html`<tr>
    <td>${name}</td>
    <td class="${state === 'answers' ? 'good' : 'bad'}">${state}</td>
    <td>${yesNo(vipHeld)}</td>
    <td>${observedAt === undefined ? '?' : age(Date.parse(observedAt), now)}</td>
    <td>${notes}</td>
  </tr>`;
}
