// Measures parsing and the next instant of this engine, the croner crate, npm croner and npm
// cron-parser in one run, and prints Markdown tables with the ratios.
//
// Usage: npm ci && npm start

import { execFileSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { CronExpressionParser } from 'cron-parser';
import { Cron } from 'croner';

// The same instants and the same method as in bench/rust/cron.rs.
const FIRST_INSTANT_MS = Date.UTC(2025, 2, 1);
const INSTANT_STEP_MS = 37 * 3_600_000 + 61_000;
const INSTANT_COUNT = 32;
const ROUNDS = 5;
const ROUND_MS = 60;

const OURS = 'ductape';
const LIBRARIES = {
  'croner (npm)': {
    parse: (pattern, timezone) => new Cron(pattern, { timezone, paused: true }),
    next: (cron) => (after) => cron.nextRun(after),
  },
  'cron-parser (npm)': {
    parse: (pattern, tz) => CronExpressionParser.parse(pattern, { tz, currentDate: new Date(FIRST_INSTANT_MS) }),
    next: (expression) => (after) => {
      expression.reset(after);
      return expression.next();
    },
  },
};

/** The nanoseconds of one call: the median of several rounds. */
function nanoseconds(call) {
  const rounds = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = performance.now();
    let calls = 0;
    while (performance.now() - start < ROUND_MS) {
      for (let index = 0; index < INSTANT_COUNT; index += 1) call(new Date(FIRST_INSTANT_MS + index * INSTANT_STEP_MS));
      calls += INSTANT_COUNT;
    }
    rounds.push(((performance.now() - start) * 1e6) / calls);
  }
  return rounds.sort((left, right) => left - right)[ROUNDS >> 1];
}

/** Measures one operation; a library that refuses the pattern has no number. */
function measure(prepare) {
  try {
    const call = prepare();
    call(new Date(FIRST_INSTANT_MS));
    return nanoseconds(call);
  } catch {
    return undefined;
  }
}

function measureRust() {
  const options = { cwd: new URL('../../..', import.meta.url), encoding: 'utf8', maxBuffer: 1 << 24 };
  const printed = execFileSync('cargo', ['bench', '--quiet', '--bench', 'cron'], options);
  return JSON.parse(printed.slice(printed.indexOf('{')));
}

function measureNode(results, cases) {
  for (const [name, library] of Object.entries(LIBRARIES)) {
    results[name] = { parse: {}, next: {} };
    for (const key of cases) {
      const [pattern, zone] = [key.slice(0, key.lastIndexOf(' ')), key.slice(key.lastIndexOf(' ') + 1)];
      results[name].parse[key] = measure(() => () => library.parse(pattern, zone));
      results[name].next[key] = measure(() => library.next(library.parse(pattern, zone)));
    }
  }
}

function shown(time, ours) {
  if (time === undefined) return 'refused';
  const [value, unit] = time < 1e3 ? [time, 'ns'] : time < 1e6 ? [time / 1e3, 'µs'] : [time / 1e6, 'ms'];
  const ratio = time / ours;
  const number = value.toFixed(value < 10 ? 1 : 0);
  return ratio === 1 ? `${number} ${unit}` : `${number} ${unit} (${ratio.toFixed(ratio < 10 ? 1 : 0)}×)`;
}

function table(results, operation, cases) {
  const names = [OURS, ...Object.keys(results).filter((name) => name !== OURS)];
  const rows = cases.map((key) => {
    const times = names.map((name) => shown(results[name][operation][key], results[OURS][operation][key]));
    return `| \`${key.slice(0, key.lastIndexOf(' '))}\` ${key.slice(key.lastIndexOf(' ') + 1)} | ${times.join(' | ')} |`;
  });
  return [`| ${operation} | ${names.join(' | ')} |`, `|---${'|---:'.repeat(names.length)}|`, ...rows].join('\n');
}

const results = measureRust();
const cases = Object.keys(results[OURS].next);
measureNode(results, cases);
console.log(`${table(results, 'next', cases)}\n\n${table(results, 'parse', cases)}`);
console.log(
  '\nThe croner crate is given a fixed offset, the cheapest zone there is. Impossible dates are decided by parse.',
);
