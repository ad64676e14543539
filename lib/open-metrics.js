'use strict';
// How the text of `metrics()` is served over HTTP.

const CONTENT_TYPES = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
};

/** The format that a reader asks for by its header `Accept`; who asks for none, as a browser, reads the older one. */
const formatFor = (accept) => (/\bapplication\/openmetrics-text\b/i.test(accept ?? '') ? 'openmetrics' : 'prometheus');

/** The answer to who sends this header `Accept`: `{ status, headers, body }`. Rejects as `metrics` does. */
async function metricsAnswer(ductape, accept) {
  const format = formatFor(accept);
  const body = await ductape.metrics({ format });
  // It depends on what is asked for, and on when.
  return {
    status: 200,
    headers: { 'content-type': CONTENT_TYPES[format], 'cache-control': 'no-store', vary: 'accept' },
    body,
  };
}

module.exports = { metricsAnswer };
