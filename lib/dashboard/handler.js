'use strict';
// The dashboard as one function: tells how it is called, and answers. Whatever goes wrong becomes an answer; it never throws.

const { inspect } = require('node:util');
const { SAFETY_HEADERS, checkForgery, checkSite, identify } = require('./access.js');
const { Audit } = require('./audit.js');
const { BASE_PATH, fetchRequest, nodeRequest, toResponse, writeNode } = require('./exchange.js');
const { Live } = require('./live.js');
const { readOptions } = require('./options.js');
const { Query } = require('./parameters.js');
const { Problem, problemBody, problemOf, wrong } = require('./problem.js');
const { routeOf } = require('./routes.js');
const { Gate } = require('./search.js');
const { jsonAnswer } = require('./session.js');
const { SharedLooks } = require('./shared-looks.js');
const { StaticFiles } = require('./static.js');

const MAX_PATH_CHARS = 8 * 1024;

/** The parts of a path below the base, each decoded. */
function partsOf(path) {
  if (path.length > MAX_PATH_CHARS) {
    throw new Problem(413, 'TOO_LARGE', `path: is longer than ${MAX_PATH_CHARS} characters`, { path: 'path' });
  }
  const parts = path.split('/').slice(1);
  if (parts.at(-1) === '') parts.pop();
  try {
    return parts.map(decodeURIComponent);
  } catch {
    throw wrong('path', 'has a % that no two hexadecimal digits follow, or is not UTF-8');
  }
}

/** The base path of a request, and what is below it. */
function placeOf(request, basePath) {
  const base = basePath ?? request.mount;
  if (!BASE_PATH.test(base)) throw wrong('path', 'is not a plain path');
  if (request.path !== base && !request.path.startsWith(`${base}/`)) {
    throw new Problem(404, 'NOT_FOUND', `the dashboard is below ${base || '/'}`);
  }
  return { base, parts: partsOf(request.path.slice(base.length)) };
}

/** What a request is answered with. */
async function answerOf(app, request) {
  const { base, parts } = placeOf(request, app.options.basePath);
  const isReading = request.method === 'GET' || request.method === 'HEAD';
  if (isReading && parts.length === 2 && parts[0] === 'assets') return app.files.asset(parts[1], request);
  const user = await identify(request, app.options);
  const route = routeOf(request.method, parts);
  if (route.changes) {
    if (user.readOnly) throw new Problem(403, 'FORBIDDEN', `${user.name} may look at jobs, and not change them`);
    checkForgery(request);
  } else if (parts[0] === 'api') checkSite(request);
  const query = new Query(request.query);
  const answer = await route.answer({ app, request, query, user, base, params: route.params });
  return typeof answer.status === 'number' ? answer : jsonAnswer(answer);
}

/** The answer to what has failed. What nobody foresaw goes to the log alone. */
function refusalOf(app, error) {
  let problem = problemOf(error);
  if (problem === undefined) {
    app.inside.log('error', `the dashboard failed: ${inspect(error)}`);
    problem = new Problem(500, 'INTERNAL', 'the request failed; the log of the program says why');
  }
  return { ...jsonAnswer(problemBody(problem), problem.headers), status: problem.status };
}

/** Answers a request, whatever it is. */
async function exchange(app, request) {
  let answer;
  try {
    answer = await answerOf(app, request);
  } catch (error) {
    answer = refusalOf(app, error);
  }
  return { ...answer, headers: { ...SAFETY_HEADERS, ...answer.headers } };
}

const isNodeRequest = (value) => typeof value?.headers === 'object' && typeof value.on === 'function';

/** How the function was called: `{ request, response? }`. */
function callOf(first, second) {
  if (typeof first?.headers?.get === 'function' && typeof first.url === 'string')
    return { request: fetchRequest(first) };
  if (isNodeRequest(first) && typeof second?.writeHead === 'function') {
    return { request: nodeRequest(first, first, first.body), response: second };
  }
  // Fastify: its request and reply.
  if (isNodeRequest(first?.raw) && typeof second?.raw?.writeHead === 'function') {
    second.hijack();
    return { request: nodeRequest(first.raw, first, first.body), response: second.raw };
  }
  // Koa: its context.
  if (isNodeRequest(first?.req) && typeof first.res?.writeHead === 'function') {
    first.respond = false;
    return { request: nodeRequest(first.req, first, first.request?.body), response: first.res };
  }
  return undefined;
}

/**
 * The handler of a dashboard. `inside` is what it needs of the instance besides its public methods: `call`, `log`, `ended()`,
 * `streams`, a set of what is to be ended with it, and `resources`, what the constructor was given.
 */
function makeDashboard(ductape, inside, given) {
  const options = readOptions(given);
  const { redaction } = options;
  const app = { ductape, inside, options, redaction, looks: new SharedLooks(), files: new StaticFiles() };
  app.searches = new Gate();
  app.audit = new Audit(inside.call, ductape.jobs);
  app.live = new Live(app);

  async function dashboard(first, second) {
    const call = callOf(first, second);
    if (call === undefined) {
      throw new TypeError('dashboard: must be called with (req, res) of a Node.js server, or with a Request');
    }
    const { request, response } = call;
    const answer = await exchange(app, request);
    const how = { isHead: request.method === 'HEAD' };
    if (response === undefined) return toResponse(answer, how);
    writeNode(answer, how, response);
    return undefined;
  }
  return dashboard;
}

module.exports = { makeDashboard };
