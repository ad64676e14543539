'use strict';
// `GET /metrics` of a worker, for Prometheus. Answers nothing else.

const { metricsAnswer } = require('../open-metrics.js');
const { CommandError } = require('./failure.js');

const DEFAULT_HOST = '127.0.0.1';

/** What is wrong, in words, and what helps. */
const REASONS = {
  EADDRINUSE: ['is taken', 'another process listens there; give another port, or 0 for any that is free'],
  EACCES: ['is not allowed', 'ports below 1024 need rights of their own; give a higher one'],
  EADDRNOTAVAIL: ['is not an address of this machine', 'give one with --metrics-host, such as 127.0.0.1 or 0.0.0.0'],
  ENOTFOUND: ['is not known', 'give an address of this machine with --metrics-host, such as 127.0.0.1 or 0.0.0.0'],
};

async function answer(ductape, request, response) {
  const refuse = (status, why, headers) => {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers });
    response.end(request.method === 'HEAD' ? undefined : `${why}\n`);
  };
  const [path] = request.url.split('?', 1);
  if (path !== '/metrics') return refuse(404, 'there is only /metrics');
  if (!['GET', 'HEAD'].includes(request.method)) return refuse(405, 'only GET', { allow: 'GET, HEAD' });
  try {
    const { status, headers, body } = await metricsAnswer(ductape, request.headers.accept);
    response.writeHead(status, headers);
    response.end(request.method === 'HEAD' ? undefined : body);
  } catch (error) {
    refuse(503, `${error.code ?? error.name}: ${error.message}`);
  }
}

/** Serves the metrics of an instance; resolves with the address and the function that ends it. */
function serveMetrics(ductape, port, host = DEFAULT_HOST) {
  // Loaded by who serves: each command would wait for it.
  const server = require('node:http').createServer((request, response) => answer(ductape, request, response));
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const [what, remedy] = REASONS[error.code] ?? [`cannot be used: ${error.message}`];
      reject(new CommandError('CONNECTION_ERROR', `--metrics-port: ${host}:${port} ${what}`, remedy));
    });
    server.listen({ port, host }, () => {
      const { address, port: listens } = server.address();
      const name = address.includes(':') ? `[${address}]` : address;
      const end = () => {
        server.close();
        server.closeAllConnections();
      };
      resolve({ url: `http://${name}:${listens}/metrics`, end });
    });
  });
}

module.exports = { DEFAULT_HOST, serveMetrics };
