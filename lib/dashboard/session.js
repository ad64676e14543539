'use strict';
// What a browser has to know first, and figures for programs.

const { metricsAnswer } = require('../open-metrics.js');
const { tokenCookie, tokenOf } = require('./access.js');

/** What kind of store it is. It never changes. */
async function kindOf({ ductape, looks }) {
  return looks.get('kind of store', Number.POSITIVE_INFINITY, async () => {
    // Makes the store where it is new: `health` never does.
    await ductape.jobs.getStats();
    const health = await ductape.health({ limit: 0 });
    if (health.server) return 'postgres';
    return health.memory ? 'memory' : 'sqlite';
  });
}

/** `GET /api/session` */
async function session({ app, query, request, user, base }) {
  query.done();
  const { ductape } = app;
  const token = tokenOf(request);
  const body = {
    user: user.name,
    read_only: user.readOnly,
    token,
    version: ductape.version.package,
    tzdb: ductape.version.tzdb,
    store: await kindOf(app),
    base_path: base,
    now: ductape.clock.now(),
  };
  return jsonAnswer(body, { 'set-cookie': tokenCookie(token, base, request.isSecure) });
}

/** `GET /metrics` */
function metrics({ app, query, request }) {
  query.done();
  return metricsAnswer(app.ductape, request.header('accept'));
}

const jsonAnswer = (body, headers = {}) => ({
  status: 200,
  headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  body: JSON.stringify(body),
});

module.exports = { jsonAnswer, metrics, session };
