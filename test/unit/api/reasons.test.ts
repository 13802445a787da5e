import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as reasons from '../../../src/api/reasons.ts';

/** The contract's own lists, in its order: what other people's scripts and dashboards rely on. */
test('the verdicts are those of the contract, worst first', () => {
  assert.deepEqual(
    reasons.VERDICTS.join(' '),
    'Diverged Ahead LocalConflict ApplierFailed Purged Behind Unproven Frozen LinkBroken Unreachable Unseeded ' +
      'StoppedByHand Waiting AwaitingApproval Reseeding Filling HandingOver CatchingUp Suspended Following',
  );
});

test('no name of the contract is missing', () => {
  const sets: readonly (readonly [readonly string[], string])[] = [
    [
      reasons.SITUATIONS,
      'Stable VipSilent VipMoved HolderRestarted SplitBrain HolderReadOnly HolderStillApplying HolderUnknown DatabaseDown AllDown',
    ],
    [
      reasons.ACCEPTED_REASONS,
      'Accepted SecretMissing SecretKeyMissing AccessDenied GrantMissing HostUnresolved TlsRefused UnsupportedServer NotImplemented NoReplicaSelected SelectedTwice ManagedByOther',
    ],
    [
      reasons.UNPROVEN_REASONS,
      'NotAdopted UnknownDomain HolderHidesPeerWrites CrashUnsafePosition LostTail StandbyNeverSeen NotComparable WitnessesDisagree Contested',
    ],
    [
      reasons.FINDINGS,
      'VipLink NotAdopted HolderUnknownMember StandbyLagging StandbyLogSlaveUpdatesOff ReplicaLogSlaveUpdatesOff SyncBinlogOff EqualServerIds LinkSettingsNotPersistent VersionOrder',
    ],
    [reasons.REASONS, 'DrainSlow'],
    [reasons.CONDITIONS, 'Accepted Ready SourceAvailable SourceUnambiguous ReplicasIntact FailoverReady'],
    [reasons.STEPS, 'StopReceiving Capture Drain Rehearse Prove Stop Change Start VerifyAttached'],
    [reasons.PROOFS, 'SameServer Contained TakeoverPoint Filled Reseeded'],
    [reasons.OUTCOMES, 'Completed Partial Refused Abandoned'],
    [reasons.TRIGGERS, 'VipMoved HolderRestarted Adoption Approval Resume'],
  ];
  for (const [set, names] of sets) {
    assert.deepEqual(
      names.split(' ').filter((name) => !set.includes(name)),
      [],
    );
  }
});

test('a condition reason is a word that Kubernetes takes', () => {
  for (const reason of reasons.REASONS) assert.match(reason, /^[A-Z][A-Za-z]*$/);
});
