// Test runners: each runs the suite of programs/suite.js, which must pass and leave nothing open.
import { access } from 'node:fs/promises';
import { NotTried } from './workshop.mjs';

const TESTS = 6;

const COMMONJS = `const Ductape = require('ductape');
const { DuctapeError } = Ductape;
const assert = require('node:assert/strict');
`;
const MODULE = `import Ductape, { DuctapeError } from 'ductape';
import assert from 'node:assert/strict';
`;

const fakeTimers = (use, real) => `const fakeTimers = () => { ${use}; return () => { ${real}; }; };\n`;
const JEST_TIMERS = fakeTimers('jest.useFakeTimers()', 'jest.useRealTimers()');

/** A project with the suite behind what stands before it in this runner. */
async function suiteIn(workshop, file, before) {
  const files = { [file]: before + (await workshop.program('suite.js')) };
  return workshop.project({ files });
}

/** The number of tests that passed, as the runner prints it. */
function expectPassed(output, pattern) {
  const passed = Number(pattern.exec(output)?.[1]);
  if (passed !== TESTS) throw new Error(`${passed} of ${TESTS} tests passed: ${output}`);
  return `${passed} tests`;
}

async function jest(workshop, folder, args = [], env = {}) {
  const all = ['--rootDir', folder, '--detectOpenHandles', ...args];
  const { stdout, stderr } = await workshop.node([workshop.tool('jest/bin/jest.js'), ...all], { cwd: folder, env });
  return stdout + stderr;
}

function jestRunner(name, { file, before, env }) {
  const attempt = async (workshop) => {
    const folder = await suiteIn(workshop, file, before + JEST_TIMERS);
    const output = await jest(workshop, folder, ['--testMatch', `**/${file}`], env);
    if (/open handle|did not exit/.test(output)) throw new Error(`something is left open: ${output}`);
    return expectPassed(output, /Tests: .*?(\d+) passed/);
  };
  return { name, uses: 'jest', attempt };
}

/** A test without `close`: the runner shows the line that made the instance. */
const forgotten = {
  name: 'Jest, `--detectOpenHandles`, a forgotten `close()`',
  uses: 'jest',
  attempt: async (workshop) => {
    const folder = await workshop.project({ files: { 'forgotten.test.js': await workshop.program('forgotten.js') } });
    const output = await jest(workshop, folder);
    if (!/1 open handle.*> *\d+ \| .*new Ductape\(/s.test(output)) throw new Error(`does not name it: ${output}`);
    return 'shows the line with `new Ductape`';
  },
};

function vitest(pool) {
  const attempt = async (workshop) => {
    const before = `import { afterEach, describe, it, vi } from 'vitest';\n${MODULE}`;
    const folder = await suiteIn(
      workshop,
      'suite.test.mjs',
      before + fakeTimers('vi.useFakeTimers()', 'vi.useRealTimers()'),
    );
    const args = ['run', '--root', folder, '--pool', pool, '--reporter', 'verbose'];
    const { stdout, stderr } = await workshop.node([workshop.tool('vitest/vitest.mjs'), ...args], {
      cwd: folder,
      env: { NO_COLOR: '1' },
    });
    if (/close timed out|hanging/.test(stdout + stderr)) throw new Error(`something is left open: ${stdout + stderr}`);
    return expectPassed(stdout, /Tests +(\d+) passed/);
  };
  return { name: `Vitest, pool \`${pool}\``, uses: 'vitest', attempt };
}

function nodeTest(major) {
  const attempt = async (workshop) => {
    const node = major ? workshop.tool(`node-${major}`, 'bin/node') : process.execPath;
    await access(node).catch(() => {
      throw new NotTried('npm has no binary of it for this platform');
    });
    const before = `import { afterEach, describe, it, mock } from 'node:test';\n${MODULE}`;
    const timers = fakeTimers(
      "mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] })",
      'mock.timers.reset()',
    );
    const folder = await suiteIn(workshop, 'suite.test.mjs', before + timers);
    const { stdout } = await workshop.command(node, ['--test', '--test-reporter=tap', 'suite.test.mjs'], {
      cwd: folder,
    });
    return expectPassed(stdout, /^# pass (\d+)$/m);
  };
  return {
    name: '`node:test`',
    ...(major ? { uses: `node-${major}` } : { version: process.version.slice(1) }),
    attempt,
  };
}

const mocha = {
  name: 'Mocha, with fake timers of Sinon',
  uses: 'mocha',
  attempt: async (workshop) => {
    const timers = `const sinon = require('sinon');\n${fakeTimers('const clock = sinon.useFakeTimers()', 'clock.restore()')}`;
    const folder = await suiteIn(workshop, 'suite.test.cjs', COMMONJS + timers);
    // Mocha waits for what is left open.
    const { stdout } = await workshop.node([workshop.tool('mocha/bin/mocha.js'), 'suite.test.cjs'], {
      cwd: folder,
      seconds: 60,
    });
    return expectPassed(stdout, /(\d+) passing/);
  },
};

const bun = {
  name: 'Bun test',
  uses: 'bun',
  attempt: async (workshop) => {
    const command = workshop.tool(`@oven/bun-${process.platform}-${process.arch}`, 'bin/bun');
    const before = `import { afterEach, describe, it, jest } from 'bun:test';\n${MODULE}`;
    const folder = await suiteIn(workshop, 'suite.test.mjs', before + JEST_TIMERS);
    const { stdout, stderr } = await workshop.command(command, ['test', 'suite.test.mjs'], {
      cwd: folder,
      seconds: 60,
    });
    return expectPassed(stdout + stderr, /(\d+) pass/);
  },
};

export const testRunners = [
  jestRunner('Jest, CommonJS, `--detectOpenHandles`', { file: 'suite.test.cjs', before: COMMONJS }),
  jestRunner('Jest, ES modules, `--detectOpenHandles`', {
    file: 'suite.test.mjs',
    before: `import { jest } from '@jest/globals';\n${MODULE}`,
    env: { NODE_OPTIONS: '--experimental-vm-modules' },
  }),
  forgotten,
  ...['threads', 'forks', 'vmThreads', 'vmForks'].map(vitest),
  nodeTest(),
  nodeTest(26),
  mocha,
  bun,
];
