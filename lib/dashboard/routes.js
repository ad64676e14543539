'use strict';
// Which method and path calls what, with which right.

const { changeBulk } = require('./bulk.js');
const { changeJob } = require('./changes.js');
const { failures } = require('./failures.js');
const { jobHistory, listJobs, oneJob } = require('./job-pages.js');
const { overview } = require('./overview.js');
const { Problem } = require('./problem.js');
const { recurring } = require('./recurring.js');
const { metrics, session } = require('./session.js');
const surroundings = require('./surroundings.js');
const { processes, targets } = require('./targets.js');

/** `*` in a path is any one part of it. */
const ROUTES = [
  ['GET', 'api/session', session],
  ['GET', 'api/overview', overview],
  ['GET', 'api/jobs', listJobs],
  ['GET', 'api/jobs/*', oneJob],
  ['GET', 'api/jobs/*/history', jobHistory],
  ['POST', 'api/jobs/*/*', changeJob],
  ['POST', 'api/bulk', changeBulk],
  ['GET', 'api/recurring', recurring],
  ['GET', 'api/targets', targets],
  ['GET', 'api/processes', processes],
  ['GET', 'api/failures', failures],
  ['GET', 'api/webhooks', surroundings.webhooks],
  ['DELETE', 'api/webhooks/*', surroundings.deleteWebhook],
  ['GET', 'api/resources', surroundings.resources],
  ['POST', 'api/resources/check', surroundings.checkResources],
  ['GET', 'api/audit', surroundings.audit],
  ['GET', 'api/live', ({ app, query }) => liveAnswer(app, query)],
  ['GET', 'metrics', metrics],
].map(([method, path, answer]) => ({ method, parts: path.split('/'), answer }));

const PAGES = new Set(['', 'jobs', 'recurring', 'targets', 'processes', 'failures', 'webhooks', 'resources', 'audit']);

function liveAnswer(app, query) {
  query.done();
  const stream = app.live.open();
  return {
    status: 200,
    headers: { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' },
    stream,
  };
}

const isMatch = ({ parts }, asked) =>
  parts.length === asked.length && parts.every((part, at) => part === '*' || part === asked[at]);

/** Whether it is a page of the browser's side. */
const isPage = (parts) =>
  PAGES.has(parts[0] ?? '') && (parts.length <= 1 || (parts[0] === 'jobs' && parts.length === 2));

/** `{ answer, params, changes }` of what is asked for; throws when there is no such thing. */
function routeOf(method, parts) {
  const found = ROUTES.filter((route) => isMatch(route, parts));
  const asked = method === 'HEAD' ? 'GET' : method;
  const route = found.find((each) => each.method === asked);
  if (route) {
    const params = parts.filter((_, at) => route.parts[at] === '*');
    return { answer: route.answer, params, changes: route.method !== 'GET' };
  }
  if (found.length === 0 && !isPage(parts)) throw new Problem(404, 'NOT_FOUND', 'there is nothing at this path');
  const methods = found.length === 0 ? ['GET'] : [...new Set(found.map((each) => each.method))];
  if (found.length === 0 && asked === 'GET') {
    return { answer: ({ app, base }) => app.files.page(base), params: [], changes: false };
  }
  const allow = methods.flatMap((each) => (each === 'GET' ? ['GET', 'HEAD'] : [each])).join(', ');
  throw new Problem(405, 'METHOD_NOT_ALLOWED', `this path takes ${allow}`, { headers: { allow } });
}

module.exports = { ROUTES, routeOf };
