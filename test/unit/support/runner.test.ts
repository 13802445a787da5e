import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { filesOf, runFile, type Stage } from '../../support/runner/files.ts';
import { OTHER_PAIRS, versionRuns } from '../../support/runner/on-versions.ts';
import { failedSteps, lastLine, secondTries, stepReport, totals } from '../../support/runner/outcome.ts';
import { storyTable } from '../../support/runner/table.ts';

const folder = mkdtempSync(join(tmpdir(), 'mxr-runner-'));
const stage: Stage = { tries: 1, folder: 'unit', width: 1, deadlineMs: 20_000, ownSandbox: false };
const HEADER = `import { describe, it, test } from 'node:test';\n`;

after(() => rmSync(folder, { recursive: true }));

function write(text: string): string {
  writeFileSync(join(folder, 'some.test.ts'), HEADER + text);
  return 'some.test.ts';
}

describe('runFile', () => {
  it('counts tests, not suites, and keeps the whole message of a failure', async () => {
    const file = write(`
      describe('suite', () => { it('right', () => {}); it('wrong', () => { throw new Error('what broke'); });
        it('later', { skip: true }, () => {}); });
      test('parent', async (t) => { await t.test('child', () => { throw new Error('inner'); }); });`);
    const outcome = await runFile(file, stage, folder);
    assert.equal(outcome.passed, 1);
    assert.equal(outcome.skipped, 1);
    assert.equal(outcome.failures.length, 2);
    assert.match(outcome.failures[0] ?? '', /^suite > wrong\n.*what broke/s);
    assert.match(outcome.failures[1] ?? '', /^parent > child\n.*inner/s);
  });

  it('fails a file that runs no test', async () => {
    const outcome = await runFile(write(''), stage, folder);
    assert.match(outcome.failures.join(), /ran no test/);
  });

  it('fails a file that crashes after its tests passed, and shows its output', async () => {
    const file = write(
      `test('fine', () => { console.log('so far'); process.on('exit', () => { process.exitCode = 3; }); });`,
    );
    const outcome = await runFile(file, stage, folder);
    assert.equal(outcome.passed, 1);
    assert.match(outcome.failures.join(), /exit code 3.*so far/s);
  });

  it('fails a file that cannot be loaded', async () => {
    const outcome = await runFile(write(`import './missing.ts';`), stage, folder);
    assert.match(outcome.failures.join(), /missing\.ts/);
  });

  it('ends a file that does not end', async () => {
    const file = write(`test('fine', () => {}); setInterval(() => {}, 1000);`);
    const outcome = await runFile(file, { ...stage, deadlineMs: 1_500 }, folder);
    assert.match(outcome.failures.join(), /did not end within 1\.5 s/);
  });
});

describe('filesOf', () => {
  const root = dirname(dirname(dirname(import.meta.dirname)));

  it('takes all files without a path, and only those below a given path', () => {
    const here = join(root, 'test/unit/support/runner.test.ts');
    assert.ok(filesOf(stage, root, []).includes('test/unit/support/runner.test.ts'));
    assert.deepEqual(filesOf(stage, root, [here]), ['test/unit/support/runner.test.ts']);
    assert.deepEqual(filesOf(stage, root, [join(root, 'test/e2e')]), []);
  });
});

describe('the runs on other versions', () => {
  const [story, other] = ['test/e2e/crash.test.ts', 'test/e2e/accepted.test.ts'];

  it('are of the main stories, each on every pair that the machine can have', () => {
    assert.deepEqual(
      versionRuns([story, other], []).map(({ file, versions }) => `${file} ${versions}`),
      OTHER_PAIRS.map((pair) => `${story} ${pair}`),
    );
    const without = versionRuns([story], ['10.5']).map(({ versions }) => versions);
    assert.deepEqual(without, ['own/11.8', '11.8/11.8']);
    assert.deepEqual(versionRuns([other], []), []);
  });

  it('say so in their names, and are in one mode whatever the others are', async () => {
    const file = write(`
      test('versions ' + process.env.MXR_VERSIONS + ', full: ' + (process.env.MXR_FULL === '1'), () => {});`);
    process.env['MXR_FULL'] = '1';
    try {
      const { name, tests } = await runFile(file, stage, folder, '10.5/11.8');
      assert.deepEqual(
        [name, tests?.map((one) => one.name)],
        ['some.test.ts on 10.5/11.8', ['versions 10.5/11.8, full: false']],
      );
    } finally {
      delete process.env['MXR_FULL'];
    }
  });
});

describe('the report', () => {
  const good = { name: 'a', passed: 3, skipped: 0, durationMs: 1_200, failures: [] };
  const bad = { name: 'b', passed: 1, skipped: 2, durationMs: 0, failures: ['one\ntwo'] };

  it('ends with the line of the contract', () => {
    assert.equal(lastLine(totals([good])), '3 passed, 0 failed');
    assert.equal(lastLine(totals([good, bad])), '4 passed, 1 failed, 2 skipped');
  });

  it('shows each failure under its step', () => {
    assert.equal(stepReport(good), 'ok   a (3 passed, 0 failed; 1.2 s)');
    assert.equal(stepReport(bad), 'FAIL b (1 passed, 1 failed, 2 skipped; 0.0 s)\n     one\n     two');
  });

  it('says at the end again what failed, and in one line why', () => {
    assert.equal(failedSteps([good]), undefined);
    const told = ['suite > wrong\n  Error: what broke\n      at here', 'long\n'.padEnd(1_000, 'x')];
    const lines = failedSteps([good, bad, { ...bad, name: 'c', failures: told }])?.split('\n') ?? [];
    assert.deepEqual(lines.slice(0, 5), [
      'failed:',
      '  b',
      '    one: two',
      '  c',
      '    suite > wrong: Error: what broke',
    ]);
    assert.equal(lines[5]?.length, 244);
  });
});

it('what was right at the second try only is named: at its step, at the end, in the table', () => {
  const common = { passed: 1, skipped: 0, failures: [], durationMs: 5000 };
  const again = { ...common, atSecondTry: true } as const;
  const story = { name: 'test/e2e/crash.test.ts', ...again, tests: [passed('kill -9')] };
  const outcomes = [{ name: 'lint', ...common }, { name: 'test/integration/x.test.ts', ...again }, story];
  assert.equal(stepReport(story), 'ok   test/e2e/crash.test.ts (at the second try) (1 passed, 0 failed; 5.0 s)');
  const named = 'needed a second try: test/integration/x.test.ts, test/e2e/crash.test.ts';
  assert.equal(secondTries(outcomes), named);
  assert.equal(secondTries([{ name: 'lint', ...common }]), undefined);
  const table = storyTable(outcomes, 'A full run');
  assert.ok(table.includes(`Of the files ${named}.\n`), table);
  assert.match(table, /^\| crash \(at the second try\) \| kill -9 \| passed \|/mu);
  assert.doesNotMatch(storyTable([{ name: 'lint', ...common }], 'A full run'), /second try/u);
});

function passed(name: string): { name: string; outcome: 'passed'; durationMs: number } {
  return { name, outcome: 'passed', durationMs: 4321 };
}

it('a full run prints one row per story', () => {
  const common = { skipped: 0, failures: [], durationMs: 5000 };
  const text = storyTable(
    [
      { name: 'lint', passed: 1, ...common },
      {
        name: 'test/e2e/crash.test.ts',
        passed: 1,
        ...common,
        tests: [{ name: 'kill -9 | power', outcome: 'passed', durationMs: 4321 }],
      },
    ],
    'A full run',
  );
  assert.match(text, /Everything: 2 passed, 0 failed\..*: 1 passed, 0 failed\./);
  assert.match(text, /\| crash \| kill -9 \\\| power \| passed \| 4\.3 \|/);
});

it('a full run says what ran with which MariaDB', () => {
  const common = { passed: 2, skipped: 0, failures: [], durationMs: 5000, tests: [] };
  const [crash, flap] = ['test/e2e/crash.test.ts', 'test/e2e/flap.test.ts'];
  const own = [crash, flap].map((name) => ({ name, ...common }));
  assert.doesNotMatch(storyTable(own, 'A full run'), /What ran with what/u);
  const other = { ...common, name: `${crash} on 10.5/11.8`, passed: 1, failures: ['x'] };
  const text = storyTable([...own, other], 'A full run');
  assert.match(text, /^\| file \| own\/own \| 10\.5\/11\.8 \|$/mu);
  assert.match(text, /^\| crash \| 2 passed, 0 failed \| 1 passed, 1 failed \|$/mu);
  assert.doesNotMatch(text, /^\| flap \| 2/mu);
});
