// Types of resources that are known and not built in: one rule for all of them.
import { expect, it } from 'vitest';
import type { Ductape, Resources } from './support/ductape.js';
import { create, env, eventually, product, recordingLogger, rejection } from './support/instances.js';

type Dispatch = (ductape: Ductape) => Promise<{ job_id: string }>;

const database = (type: string, connection_url = '$Secret{URL}') => ({ type, envs: [{ slug: env, connection_url }] });
const channel = (channels: object, message: object) => ({
  envs: [{ slug: env, ...channels }],
  messages: [{ tag: 'm', ...message }],
});
const located = (type: string) => ({ envs: [{ slug: env, type }] });

const operate: Dispatch = (ductape) => ductape.databases.dispatch({ database: 'r', operation: 'find', input: {} });
const act: Dispatch = (ductape) => ductape.databases.action.dispatch({ database: 'r', event: 'a', input: {} });
const match: Dispatch = (ductape) =>
  ductape.graphs.dispatch({ graph: 'r', operation: 'findNodes', input: { labels: ['A'] } });
const runQuery: Dispatch = (ductape) => ductape.graphs.action.dispatch({ graph: 'r', event: 'a', input: {} });

const email = { email: { subject: 'Hello', template: 'Hello' } };
const foreign: [type: string, section: string, member: object, dispatch: Dispatch][] = [
  ['cassandra', 'databases', database('CASSANDRA'), operate],
  ['oracle', 'databases', database('oracle'), operate],
  ['mssql', 'databases', { ...database('mssql'), actions: [{ tag: 'a', operation: 'QUERY', tableName: 't' }] }, act],
  ['arangodb', 'graphs', database('ArangoDB'), match],
  [
    'nebula',
    'graphs',
    { ...database('nebula'), actions: [{ tag: 'a', operation: 'FIND_NODES', template: { labels: ['A'] } }] },
    runQuery,
  ],
];

it.each(foreign)('%s of %s is taken, reported, and left to handlers', async (type, section, member, dispatch) => {
  const logger = recordingLogger();
  const resources = { products: [{ tag: product, [section]: [{ tag: 'r', ...member }] }] } as unknown as Resources;
  const ductape = create({ resources, logger, secrets: { URL: 'x' } });
  // Makes this process a worker.
  ductape.actions.handle({ app: 'other' }, () => null);
  const [found] = await ductape.resources.check();
  expect(found).toMatchObject({ tag: 'r', ok: false });
  expect(found?.error?.message).toContain(`'${type}' is not built in`);
  const { job_id } = await dispatch(ductape);
  const { reasons } = await ductape.jobs.explain(job_id);
  const reason = reasons.find(({ code }) => code === 'NO_HANDLER');
  expect(reason?.message).toContain(`the type '${type}' of the resource is not built in`);
  await eventually(() => logger.messagesAt('warn').some((line) => line.includes(`the type '${type}' of the resource`)));
  expect(await ductape.jobs.get(job_id)).toMatchObject({ status: 'queued', attempt: 0 });
});

it.each([
  ['databases', { type: 'postgress', envs: [{ slug: env, connection_url: 'x' }] }, "'postgresql'", "'mongodb'"],
  ['graphs', database('neo5j'), "'neo4j'", "'arangodb'"],
  ['brokers', located('KAFKAA'), "'KAFKA'", "'AWS_SQS'"],
  ['storage', located('s3'), "'local'", "'aws'"],
  ['notifications', channel({ emails: { provider: 'smpt' } }, email), 'built in are', "'sendgrid'"],
  ['notifications', channel({ sms: { provider: 'x' } }, email), 'built in are', "'twilio'"],
])('an unknown type in %s is refused with those that are known', async (section, member, builtIn, other) => {
  const resources = { products: [{ tag: product, [section]: [{ tag: 'r', ...member }] }] } as unknown as Resources;
  const { code, message } = await rejection(() => create({ resources }));
  expect(code).toBe('VALIDATION_ERROR');
  expect(message).toContain('is not known');
  expect(message).toContain(builtIn);
  expect(message).toContain(other);
});
