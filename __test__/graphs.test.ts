// Graphs through the package: jobs without a handler, on a Neo4j where one is named.
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Ductape, DuctapeOptions, Resources } from './support/ductape.js';
import { literal } from './support/ductape.js';
import { create, env, product, recordingLogger, rejection } from './support/instances.js';
import { address } from './support/servers.js';

type Graph = NonNullable<NonNullable<Resources['products']>[number]['graphs']>[number];

const url = address('DUCTAPE_TEST_NEO4J');

const instance = (graph: Omit<Graph, 'tag'>, options: DuctapeOptions = {}) =>
  create({ resources: { products: [{ tag: product, graphs: [{ tag: 'session-graph', ...graph }] }] }, ...options });

const neo4j = (actions: Graph['actions'] = []) =>
  instance({ type: 'neo4j', actions, envs: [{ slug: env, connection_url: url as string }] });

async function operate(ductape: Ductape, operation: string, input: Record<string, unknown>, retries = 0) {
  const job = await ductape.graphs.dispatch({ graph: 'session-graph', operation, input, retries });
  return (await ductape.jobs.wait(job.job_id)) as Record<string, unknown>;
}

describe('graphs', () => {
  it.skipIf(!url)('the documented clean-up deletes what is expired', async () => {
    const ductape = neo4j();
    const mark = `expired_${randomUUID().replaceAll('-', '')}`;
    for (const expired of [true, true, false]) {
      await operate(ductape, 'createNode', { labels: ['Session', mark], properties: { [mark]: expired } });
    }
    try {
      expect(await operate(ductape, 'deleteNodes', { filter: { [mark]: true } })).toEqual({
        deleted: true,
        deletedCount: 2,
      });
      expect(await operate(ductape, 'countNodes', { labels: [mark] })).toEqual({ count: 1 });
      expect((await ductape.resources.check())[0]).toMatchObject({ type: 'graph', tag: 'session-graph', ok: true });
    } finally {
      await operate(ductape, 'deleteNodes', { labels: [mark], all: true });
    }
  });

  it('are refused by the constructor where a template holds a wrong value', async () => {
    for (const [action, said] of [
      [{ operation: 'FIND_NODES', template: { limit: 'x' } }, 'template.limit: must be an integer'],
      [{ operation: 'FIND_RELATIONSHIPS', template: { type: 'T', direction: 'UP' } }, 'template.direction: '],
      [{ operation: 'UPDATE_NODE', template: { id: 1, properties: { n: { $inc: 'x' } } } }, '$inc must have a number'],
      [{ operation: 'DELETE_NODE', template: { labels: ['L'] } }, 'the filter is empty'],
    ] as const) {
      const actions = [{ tag: 'a', ...action }] as unknown as NonNullable<Graph['actions']>;
      const envs = [{ slug: env, connection_url: 'bolt://127.0.0.1:7687' }];
      const refused = await rejection(() => instance({ type: 'neo4j', actions, envs }));
      expect(refused.code).toBe('VALIDATION_ERROR');
      expect(refused.message).toContain(said);
    }
  });

  it.skipIf(!url)('actions take values, and literals are no operators', async () => {
    const label = `T${randomUUID().replaceAll('-', '')}`;
    const ductape = neo4j([
      {
        tag: 'session-graph:join',
        operation: 'CREATE_NODE',
        template: { labels: [label], properties: { name: '{{name}}' } },
      },
      {
        tag: 'named',
        query: `MATCH (n:${label}) WHERE n.name = $name RETURN n.name AS name`,
        params: { name: '{{name}}' },
      },
    ]);
    const act = async (event: string, input: Record<string, unknown>) => {
      const job = await ductape.graphs.action.dispatch({ graph: 'session-graph', event, input });
      return ductape.jobs.wait(job.job_id);
    };
    try {
      expect(await act('join', { name: 'ann' })).toMatchObject({
        created: true,
        node: { properties: { name: 'ann' } },
      });
      expect(await act('named', { name: 'ann' })).toEqual({ rows: [{ name: 'ann' }], count: 1 });
      const stranger = { $ne: '' };
      const labels = [label];
      expect(await operate(ductape, 'countNodes', { labels, where: { name: stranger } })).toEqual({ count: 1 });
      const refused = await rejection(operate(ductape, 'countNodes', { labels, where: { name: literal(stranger) } }));
      expect(refused.code).toBe('VALIDATION_ERROR');
      const old = { since: { $lt: '$DateAdd($Now(), -30, "days")' } };
      expect(await operate(ductape, 'countNodes', { labels, where: old })).toEqual({ count: 0 });
    } finally {
      await operate(ductape, 'deleteNodes', { labels: [label], all: true });
    }
  });

  it('fail with a code that tells whether to retry, and without the password', async () => {
    const logger = recordingLogger();
    const password = 'a-very-secret-password';
    const ductape = instance(
      { type: 'neo4j', envs: [{ slug: env, connection_url: 'bolt://me:$Secret{PASSWORD}@127.0.0.1:1' }] },
      { logger, secrets: { PASSWORD: password } },
    );
    const lost = await rejection(operate(ductape, 'countNodes', { where: { name: 'a value of the payload' } }));
    expect(lost.code).toBe('CONNECTION_ERROR');
    const [checked] = await ductape.resources.check();
    expect(checked).toMatchObject({ ok: false, error: { code: 'CONNECTION_ERROR' } });
    const told = [lost.message, JSON.stringify(checked), ...logger.lines].join('\n');
    expect(told).not.toContain(password);
    expect(told).not.toContain('a value of the payload');
    const wrong = await rejection(operate(ductape, 'deleteNodes', { filter: {} }, 3));
    expect(wrong.code).toBe('VALIDATION_ERROR');
  });

  it.each([
    ['ArangoDB', 'https://127.0.0.1:8529', 'arangodb'],
    ['neptune', 'wss://127.0.0.1:8182/gremlin', 'neptune'],
  ] as const)('leave %s at %s to a handler', async (type, connection_url, name) => {
    const ductape = instance({ type: type as Graph['type'], envs: [{ slug: env, connection_url }] });
    const { job_id } = await ductape.graphs.dispatch({ graph: 'session-graph', operation: 'findNodes', input: {} });
    expect((await ductape.jobs.explain(job_id)).reasons.map(({ code }) => code)).toContain('NO_HANDLER');
    const [checked] = await ductape.resources.check();
    expect(checked?.ok).toBe(false);
    expect(checked?.error?.message).toContain(name);
    ductape.graphs.handle({ graph: 'session-graph', operation: 'findNodes' }, () => ({ count: 7 }));
    expect(await ductape.jobs.wait(job_id)).toEqual({ count: 7 });
  });

  it('name the known types where one is unknown', async () => {
    const error = await rejection(() => instance({ type: 'nonsense' as Graph['type'], envs: [] }));
    expect(error.message).toMatch(/'nonsense' is not known; built in are 'neo4j', .* left to handlers, are 'arangodb'/);
  });
});
