// Where an error comes from: the stack of a rejection names the lines of the program that wait for it.
import { SimpleSpanProcessor, InMemorySpanExporter, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { trace } from '@opentelemetry/api';
import { tracingChannel } from 'node:diagnostics_channel';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Ductape } from './support/ductape.js';
import { create, job, rejection } from './support/instances.js';

async function createInvoice(call: () => Promise<unknown>): Promise<unknown> {
  // By now the caller's own frames are gone: only the chain of promises leads back to it.
  await null;
  const answer = await call();
  return answer;
}

async function handleRequest(call: () => Promise<unknown>): Promise<void> {
  await createInvoice(call);
}

const unreadable = job('report', { schedule: { cron: 'nope' } });
const unwritable = job('report', { input: { amount: 1n } });

describe('the stack of a rejection names the functions of the program that wait for it', () => {
  it.each<[string, (ductape: Ductape) => Promise<unknown>]>([
    ['a dispatch that Rust refuses', (ductape) => ductape.features.dispatch(unreadable)],
    ['a dispatch that JSON cannot hold', (ductape) => ductape.features.dispatch(unwritable)],
    ['a list of dispatches', (ductape) => ductape.features.dispatchMany([unreadable])],
    ['a list that JSON cannot hold', (ductape) => ductape.features.dispatchMany([unwritable])],
    [
      'a list with a number that is none',
      (ductape) => ductape.features.dispatchMany([job('f', { retries: Number.NaN })]),
    ],
    ['a statement', (ductape) => ductape.features.statement(job('report'))],
    ['a job that is not there', (ductape) => ductape.jobs.get('nobody')],
    ['its steps', (ductape) => ductape.jobs.steps('nobody')],
    ['a time that is none', (ductape) => ductape.jobs.list({ from: Number.NaN })],
    ['one of several', (ductape) => Promise.all([ductape.jobs.get('nobody'), ductape.jobs.list()])],
    ['a clock that is not moved by hand', (ductape) => ductape.clock.advance(1)],
    ['a start', (ductape) => ductape.start({ signals: false })],
    ['a backup', (ductape) => ductape.backup('/nowhere/at/all')],
    ['a close', (ductape) => ductape.close({ timeout: -1 })],
    ['a move', () => Ductape.move({ from: 'memory:a', to: 'memory:b' })],
  ])('%s', async (_what, call) => {
    const ductape = create({ worker: false });
    const { stack } = await rejection(handleRequest(() => call(ductape)));
    expect(stack).toMatch(/ at (async )?createInvoice /);
    expect(stack).toMatch(/ at (async )?handleRequest /);
  });

  it('of an instance that is closed', async () => {
    const ductape = create();
    await ductape.close();
    for (const call of [() => ductape.features.dispatch(job('report')), () => ductape.jobs.get('nobody')]) {
      const { code, stack } = await rejection(handleRequest(call));
      expect(code).toBe('CLOSED');
      expect(stack).toMatch(/ at (async )?createInvoice /);
    }
  });

  it('with traces, and while somebody listens to the channel of dispatches', async () => {
    const exporter = new InMemorySpanExporter();
    const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    provider.register();
    onTestFinished(() => {
      trace.disable();
      return provider.shutdown();
    });
    const ductape = create({ worker: false, telemetry: true });
    const calls = [() => ductape.features.dispatch(unreadable), () => ductape.features.statement(job('report'))];
    for (const call of calls) {
      expect((await rejection(handleRequest(call))).stack).toMatch(/ at (async )?createInvoice /);
    }
    expect(exporter.getFinishedSpans().map(({ attributes }) => attributes['error.type'])).toEqual([
      'INVALID_CRON',
      'VALIDATION_ERROR',
    ]);
    const channel = tracingChannel('ductape:dispatch');
    const listener = { start() {}, end() {}, asyncStart() {}, asyncEnd() {}, error() {} };
    channel.subscribe(listener);
    onTestFinished(() => channel.unsubscribe(listener));
    expect((await rejection(handleRequest(() => ductape.features.dispatch(unreadable)))).stack).toMatch(
      / at (async )?createInvoice /,
    );
  });
});
