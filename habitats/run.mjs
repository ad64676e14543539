// Tries the package in runtimes, bundlers, executables, frameworks and test runners, and prints what came of it. `--publish` writes the
// tables into the documents; names are those of habitats to try, in part: node habitats/run.mjs webpack 'Next'.
import { parseArgs } from 'node:util';
import { publish } from '../bench/node/peers/publish.mjs';
import { bundlers, executables, runtimes } from './bundlers.mjs';
import { frameworks } from './frameworks.mjs';
import { testRunners } from './test-runners.mjs';
import { NotTried, Workshop } from './workshop.mjs';

const { values, positionals } = parseArgs({ options: { publish: { type: 'boolean' } }, allowPositionals: true });
const isAsked = ({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part));

const TABLES = [
  {
    page: 'docs/guides/bundlers.md',
    mark: 'habitats',
    habitats: [...runtimes, ...bundlers, ...frameworks, ...executables],
  },
  { page: 'docs/guides/test-runners.md', mark: 'test-runners', habitats: testRunners },
];

async function tried(workshop, { name, version, uses, settings = '', attempt }) {
  const row = { name, version: version ?? (uses ? await workshop.versionOf(uses).catch(() => '') : ''), settings };
  const from = performance.now();
  try {
    const details = await attempt(workshop);
    row.result = details ? `ok: ${details}` : 'ok';
  } catch (error) {
    row.result = error instanceof NotTried ? `not tried: ${error.message}` : 'FAILED';
    if (!(error instanceof NotTried)) console.error(`\n${name}: ${error.stack ?? error}\n`);
  }
  const seconds = Math.round((performance.now() - from) / 1000);
  console.log(`${name.padEnd(56)} ${row.version.padEnd(10)} ${row.result} (${seconds} s)`);
  return row;
}

const tableOf = (rows) =>
  [
    '| habitat | version | settings | result |',
    '|---|---|---|---|',
    ...rows.map(
      ({ name, version, settings, result }) =>
        `| ${name} | ${version} | ${settings || (/^not tried/.test(result) ? '–' : 'none')} | ${result} |`,
    ),
  ].join('\n');

const workshop = await Workshop.open();
let failures = 0;
try {
  for (const { page, mark, habitats } of TABLES) {
    const rows = [];
    for (const habitat of habitats.filter(isAsked)) rows.push(await tried(workshop, habitat));
    failures += rows.filter(({ result }) => result === 'FAILED').length;
    if (rows.length === 0) continue;
    const machine = `Tried on ${process.platform} ${process.arch}.`;
    if (values.publish && positionals.length === 0) publish(page, mark, `${machine}\n\n${tableOf(rows)}`);
  }
} finally {
  await workshop.close();
}
console.log(failures === 0 ? 'all that could be tried works' : `${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;
