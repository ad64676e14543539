'use strict';
// How the text of `metrics()` is served over HTTP.

const CONTENT_TYPES = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
};

/** The format that a reader asks for by its header `Accept`; who asks for none, as a browser, reads the older one. */
const formatFor = (accept) => (/\bapplication\/openmetrics-text\b/i.test(accept ?? '') ? 'openmetrics' : 'prometheus');

/** Answers a request with the metrics of an instance. Never rejects. */
async function answerWithMetrics(ductape, request, response) {
  const format = formatFor(request.headers.accept);
  let [status, type, text] = [200, CONTENT_TYPES[format], ''];
  try {
    text = await ductape.metrics({ format });
  } catch (error) {
    [status, type, text] = [503, 'text/plain; charset=utf-8', `${error.code ?? error.name}: ${error.message}\n`];
  }
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : text);
}

module.exports = { CONTENT_TYPES, answerWithMetrics, formatFor };
