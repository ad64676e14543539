'use strict';
// `doctor`: what is wrong with a store and its surroundings, and what to do about it.

const { version } = require('../../package.json');
const { escaped } = require('../text.js');
const diagnosis = require('./diagnosis.js');
const { EXIT, exitCodeOf } = require('./exit-codes.js');
const { described } = require('./failure.js');
const { healthFindings } = require('./health.js');
const { loadConfig, storeFile, storeLabel, storeName, withStore } = require('./store.js');
const { duration } = require('./values.js');

/** How long a lock that somebody holds is waited for. */
const LOCK_WAIT_MS = 3_000;

const STYLES = { ok: 'green', warning: 'yellow', problem: 'red' };

/** What the package itself warned of, as findings. */
function keepingLogger(kept) {
  const keep = (message) => void kept.push(diagnosis.warning('warning', String(message).replace(/^ductape: /, '')));
  return { debug() {}, info() {}, warn: keep, error: keep };
}

/** Findings that need the store open. */
async function storeFindings(context, store, file) {
  const { values } = context;
  const warned = [];
  const found = [];
  try {
    const look = async (ductape) => {
      // Before anything that opens the store, and would migrate it.
      const health = healthFindings(await ductape.health());
      found.push(...health.found);
      if (!health.isUsable) return;
      await ductape.jobs.getStats();
      found.push(diagnosis.ok('store', `${storeLabel(store)} opens with this version`));
      found.push(...diagnosis.clockFindings(ductape, file === undefined));
      found.push(...(await diagnosis.jobFindings(ductape, values.waiting)));
      found.push(...(await diagnosis.processFindings(ductape)));
      found.push(...(await diagnosis.webhookFindings(ductape)));
      if (file !== undefined) found.push(...(await diagnosis.dataFindings(ductape, file, values.data)));
    };
    await withStore(context, look, {
      anySchema: true,
      options: { storeTimeout: LOCK_WAIT_MS, logger: keepingLogger(warned) },
    });
  } catch (error) {
    if (exitCodeOf(error) === EXIT.USAGE) throw error;
    const { message, remedy } = described(error);
    found.push(diagnosis.problem('store', message, remedy));
  }
  return [...found, ...warned];
}

function print(findings, out) {
  const padded = (text, columns) => (out.isTerminal ? text.padEnd(columns) : text);
  const width = Math.max(...findings.map(({ name }) => name.length));
  for (const { name, level, message, remedy } of findings) {
    const cells = [out.paint(STYLES[level], padded(level, 7)), padded(name, width), escaped(message)];
    out.line(cells.join(out.isTerminal ? '  ' : '\t'));
    if (remedy)
      out.line(
        out.isTerminal ? `         ${out.paint('dim', `→ ${escaped(remedy)}`)}` : `\tremedy\t${escaped(remedy)}`,
      );
  }
}

module.exports = {
  name: 'doctor',
  summary: 'looks for what is wrong with the store',
  about:
    'Looks for what is wrong with a store and its surroundings, with remedies. The exit code is 1 when there is a problem.',
  usage: '[options]',
  notes: ['With --json: { ok, findings: [{ name, level, message, remedy? }] }; a level is ok, warning or problem.'],
  options: {
    waiting: {
      type: 'string',
      value: 'DURATION',
      read: duration,
      about: 'how long due jobs may wait for a worker; default 1m',
    },
    data: {
      type: 'boolean',
      about: 'reads all of a large file, too, by a copy that is thrown away; small ones are always read',
    },
  },
  examples: ['ductape doctor', 'ductape doctor --store sqlite:data/jobs.db --data --json'],
  async run(context) {
    const { values, out, env } = context;
    const store = storeName(values, await loadConfig(values, env), env);
    const file = storeFile(store);
    const findings = [
      diagnosis.ok(
        'version',
        `ductape ${version}, Node.js ${process.versions.node}, ${process.platform} ${process.arch}`,
      ),
    ];
    const before = await storeFindings(context, store, file);
    // After it: opening makes a log, whose length counts.
    try {
      if (file !== undefined) findings.push(...diagnosis.fileFindings(file));
    } catch {
      // There is no file, which is told below.
    }
    findings.push(...before);
    const isWell = findings.every(({ level }) => level !== 'problem');
    if (out.isJson) out.json({ ok: isWell, findings });
    else print(findings, out);
    return isWell ? EXIT.DONE : EXIT.FAILED;
  },
};
