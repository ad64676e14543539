// What traces cost: dispatch and run of the same jobs without and with `telemetry`, in a program without an SDK, and with one that records
// all or one of a hundred traces and throws its spans away. In turns; prints medians of the ratios to the rate without. Dispatches are made one
// by one, each of which is a span. Usage: node telemetry.mjs [--pairs 9] [--jobs 20000] [--work 0]; `work` is ms that each handler waits.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { context, trace } from '@opentelemetry/api';
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-node';
import { Ductape } from 'ductape';
import { quantile } from './figures.mjs';

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '9' },
    jobs: { type: 'string', default: '20000' },
    work: { type: 'string', default: '0' },
  },
});
const [pairs, jobs, work] = [Number(values.pairs), Number(values.jobs), Number(values.work)];
const folder = mkdtempSync(join(tmpdir(), 'ductape-telemetry-'));
/** Share of traces that are recorded; `undefined`: there is no SDK. */
const VARIANTS = { 'no SDK': undefined, 'one trace of a hundred': 0.01, 'all traces': 1 };

function register(share) {
  trace.disable();
  context.disable();
  if (share === undefined) return undefined;
  const exporter = { export: (_spans, done) => done({ code: 0 }), shutdown: async () => {} };
  const provider = new NodeTracerProvider({
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: 100_000 })],
  });
  provider.register();
  return provider;
}

/** Jobs a second, dispatched and run. */
async function rates(name, share, telemetry) {
  // Who turns `telemetry` on has the SDK already.
  const provider = register(share);
  const store = `sqlite:${join(folder, `${name}.db`)}`;
  const options = { store, product: 'shop', env: 'prd', durability: 'relaxed', worker: { concurrency: 100 } };
  const ductape = new Ductape({ ...options, telemetry });
  let done = 0;
  let finish;
  const all = new Promise((resolve) => {
    finish = resolve;
  });
  ductape.features.define('report', async () => {
    if (work > 0) await new Promise((resolve) => setTimeout(resolve, work));
    if (++done === jobs) finish();
  });
  const started = performance.now();
  for (let sent = 0; sent < jobs; sent += 1000) {
    await Promise.all(
      Array.from({ length: 1000 }, (_, k) => ductape.features.dispatch({ tag: 'report', input: { k } })),
    );
  }
  const dispatched = performance.now();
  await ductape.start({ signals: false });
  await all;
  const ran = performance.now();
  await ductape.close();
  await provider?.shutdown();
  return { dispatch: jobs / (dispatched - started), run: jobs / (ran - dispatched) };
}

try {
  await rates('warm-up', 1, true);
  for (const [variant, share] of Object.entries(VARIANTS)) {
    const ratios = { dispatch: [], run: [] };
    for (let n = 0; n < pairs; n++) {
      const told = new Map();
      for (const on of n % 2 === 0 ? [true, false] : [false, true]) {
        told.set(on, await rates(`${variant}-${n}-${on}`.replaceAll(' ', '-'), share, on));
      }
      for (const what of ['dispatch', 'run']) ratios[what].push(told.get(true)[what] / told.get(false)[what]);
    }
    for (const [what, found] of Object.entries(ratios)) {
      const [low, middle, high] = [0.25, 0.5, 0.75].map((q) => quantile(found, q).toFixed(3));
      console.log(`${variant}, ${what}: ${middle} of the rate without (quartiles ${low} to ${high}, ${pairs} pairs)`);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
