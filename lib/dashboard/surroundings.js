'use strict';
// What jobs are surrounded by: webhooks, resources, and the log of who changed what.

const { readFile } = require('node:fs/promises');
const { given, readJson, membersOf } = require('./parameters.js');
const { MAX_BODY_BYTES } = require('./changes.js');

const MAX_ENTRIES = 200;
const DEFAULT_ENTRIES = 50;
const MAX_CHECK_MS = 30_000;
/** Sections of a product's resources, with what `resources.check` calls one. */
const SECTIONS = {
  apps: 'app',
  features: 'feature',
  notifications: 'notification',
  storage: 'storage',
  brokers: 'broker',
  databases: 'database',
  graphs: 'graph',
  sessions: 'session',
  caches: 'cache',
};

/** Scheme and host of an address: what follows is often a secret, with many receivers the path. `/…` tells that there is more. */
function shownAddress(text) {
  try {
    const { protocol, host, pathname, search } = new URL(text);
    return `${protocol}//${host}/${pathname === '/' && search === '' ? '' : '…'}`;
  } catch {
    return '***';
  }
}

/** `GET /api/webhooks` */
async function webhooks({ app, query }) {
  query.done();
  const all = await app.ductape.jobs.listWebhooks();
  return { at: app.ductape.clock.now(), webhooks: all.map((each) => ({ ...each, url: shownAddress(each.url) })) };
}

/** `DELETE /api/webhooks/ID` */
async function deleteWebhook({ app, query, params: [id], user }) {
  query.done();
  const { jobs } = app.ductape;
  const known = (await jobs.listWebhooks()).find((each) => each.id === id);
  if (known) await app.audit.add(user.name, 'delete webhook', { id, url: shownAddress(known.url) });
  await jobs.deleteWebhook(id);
  return {};
}

const listOf = (value) =>
  Array.isArray(value) ? value.filter((each) => each !== null && typeof each === 'object') : [];
const textOf = (value) => (typeof value === 'string' ? value : undefined);

/** Names and types of what is defined, and nothing else: definitions hold credentials. */
function outlineOf(resources) {
  return listOf(resources?.products).flatMap((product) =>
    Object.entries(SECTIONS).flatMap(([section, type]) =>
      listOf(product[section]).map((each) => {
        const envs = listOf(each.envs);
        const kinds = [each, ...envs].map(({ type: kind }) => textOf(kind)?.toLowerCase());
        const kind = [...new Set(kinds.filter((one) => one !== undefined))];
        return given({
          product: textOf(product.tag),
          type,
          tag: textOf(each.tag),
          name: textOf(each.name),
          description: textOf(each.description),
          kind: kind.length > 0 ? kind.join(', ') : undefined,
          envs: envs.map(({ slug }) => textOf(slug)).filter((slug) => slug !== undefined),
        });
      }),
    ),
  );
}

/** What the constructor was given, or what is in the file that it names. */
async function definitions({ inside, looks }) {
  const { resources } = inside;
  if (typeof resources !== 'string') return resources;
  return looks.get('resources file', 60_000, async () => JSON.parse(await readFile(resources, 'utf8')));
}

/** `GET /api/resources` */
async function resources({ app, query }) {
  query.done();
  return { resources: outlineOf(await definitions(app)) };
}

/** `POST /api/resources/check` */
async function checkResources({ app, query, request, user }) {
  query.done();
  const body = membersOf(await readJson(request, MAX_BODY_BYTES), '', ['product', 'env', 'tag', 'timeout']);
  if (typeof body.timeout === 'number') body.timeout = Math.min(MAX_CHECK_MS, body.timeout);
  await app.audit.add(user.name, 'check resources', body);
  return { resources: await app.ductape.resources.check(body) };
}

/** `GET /api/audit` */
function audit({ app, query }) {
  const cursor = query.text('cursor');
  const limit = query.integer('limit', 1, MAX_ENTRIES) ?? DEFAULT_ENTRIES;
  query.done();
  return app.audit.list(given({ limit, cursor }));
}

module.exports = { audit, checkResources, deleteWebhook, outlineOf, resources, webhooks };
