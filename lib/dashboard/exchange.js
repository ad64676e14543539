'use strict';
// A request and an answer in one form, whatever the server is: Node's `(req, res)`, Fastify's `(request, reply)`, Koa's context, or a
// `Request`. An answer is `{ status, headers, body?, stream? }`; `stream(sink)` goes on to write until the sink is closed.

const { Problem } = require('./problem.js');

const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i;
/** It gets into a cookie and the page: what means something there is left out. */
const BASE_PATH = /^(?:\/[A-Za-z0-9._~%!$&()*+=:@-]+)*$/;

/** Path and query of a target as the request line has it, or of a whole URL. */
function splitTarget(target) {
  const local = target.replace(ORIGIN, '').split('#', 1)[0];
  const at = local.indexOf('?');
  return at < 0 ? { path: local || '/', query: '' } : { path: local.slice(0, at) || '/', query: local.slice(at + 1) };
}

/** What a framework has cut off: Express says it, others leave the path as it was in `originalUrl`. */
function mountOf({ baseUrl, originalUrl, url }) {
  if (typeof originalUrl !== 'string' || typeof url !== 'string') return '';
  const [whole, cut] = [splitTarget(originalUrl).path, splitTarget(url).path];
  if (typeof baseUrl === 'string' && whole.startsWith(baseUrl)) return baseUrl;
  if (cut === '/' && !whole.endsWith('/')) return whole;
  return whole.endsWith(cut) ? whole.slice(0, whole.length - cut.length) : '';
}

const headerOf = (value) => (Array.isArray(value) ? value.join(', ') : value);

/** Text of a body of at most `max` bytes. */
function textOf(chunks) {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new Problem(400, 'VALIDATION_ERROR', 'body: is not UTF-8', { path: 'body' });
  }
}

function tooLong(max) {
  return new Problem(413, 'TOO_LARGE', `body: is longer than ${max} bytes`, {
    path: 'body',
    headers: { connection: 'close' },
  });
}

function checkLength(declared, max) {
  if (declared !== undefined && Number(declared) > max) throw tooLong(max);
}

async function collect(chunks, max) {
  const kept = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > max) throw tooLong(max);
    kept.push(chunk);
  }
  return textOf(kept);
}

/** Reads the body of Node's request; one that a framework has parsed is taken as that has it. */
async function readNodeBody(request, parsed, max) {
  checkLength(request.headers['content-length'], max);
  if (request.readableDidRead || request.readableEnded) {
    if (parsed === undefined) {
      throw new Problem(400, 'VALIDATION_ERROR', 'body: was read before the dashboard came to it, and not kept', {
        path: 'body',
      });
    }
    if (Buffer.isBuffer(parsed)) return textOf([parsed]);
    return typeof parsed === 'string' ? parsed : { parsed };
  }
  return collect(request, max);
}

/** A request of Node's server. `given` is what the program's own functions are asked with, `parsed` the body where a framework has read it. */
function nodeRequest(request, given, parsed) {
  const { path, query } = splitTarget(request.originalUrl ?? request.url ?? '/');
  return {
    method: request.method ?? 'GET',
    path,
    query,
    mount: mountOf(request),
    given,
    header: (name) => headerOf(request.headers[name]),
    headerNames: () => Object.keys(request.headers),
    peer: request.socket?.remoteAddress,
    // HTTP/2 has it under another name.
    host: request.headers.host ?? request.headers[':authority'],
    isSecure: request.socket?.encrypted === true,
    readBody: (max) => readNodeBody(request, parsed, max),
  };
}

/** A `Request` of the web's. It names no peer. */
function fetchRequest(request) {
  const { path, query } = splitTarget(request.url);
  return {
    method: request.method,
    path,
    query,
    mount: '',
    given: request,
    header: (name) => request.headers.get(name) ?? undefined,
    headerNames: () => [...request.headers.keys()],
    peer: undefined,
    host: request.headers.get('host') ?? new URL(request.url).host,
    isSecure: /^https:/i.test(request.url),
    readBody: async (max) => {
      checkLength(request.headers.get('content-length') ?? undefined, max);
      if (request.bodyUsed) throw new Problem(400, 'VALIDATION_ERROR', 'body: was read before', { path: 'body' });
      return request.body ? collect(request.body, max) : '';
    },
  };
}

/** Where a stream is written on Node's side. */
function nodeSink(response) {
  return {
    /** Whether there is room for more. */
    write(text) {
      if (response.destroyed || response.writableEnded) return false;
      const hasRoom = response.write(text);
      // A middleware that compresses keeps it otherwise.
      response.flush?.();
      return hasRoom;
    },
    isFull: () => (response.writableNeedDrain ?? response.stream?.writableNeedDrain) === true,
    end: () => response.end(),
    destroy: () => response.destroy(),
    onClose: (closed) => response.once('close', closed),
  };
}

/** Writes an answer with Node's response. */
function writeNode(answer, { isHead }, response) {
  if (response.headersSent || response.destroyed) return;
  // A client that goes away is no failure.
  response.on('error', () => {});
  const length = answer.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(answer.body)) };
  response.writeHead(answer.status, { ...answer.headers, ...length });
  if (isHead || (answer.body === undefined && !answer.stream)) response.end();
  else if (answer.stream) {
    response.flushHeaders();
    answer.stream(nodeSink(response));
  } else response.end(answer.body);
}

/** Bytes that wait for a reader of a `Response` before what comes is left out. */
const MAX_WAITING_BYTES = 64 * 1024;

/** A stream of the web's, which `begin(sink)` writes into. */
function fetchStream(begin) {
  const encoder = new TextEncoder();
  let onClose = () => {};
  let isOpen = true;
  const close = (act) => {
    if (!isOpen) return;
    isOpen = false;
    act();
    onClose();
  };
  return new ReadableStream(
    {
      start(controller) {
        begin({
          write(text) {
            if (!isOpen) return false;
            controller.enqueue(encoder.encode(text));
            return controller.desiredSize > 0;
          },
          isFull: () => isOpen && controller.desiredSize <= 0,
          end: () => close(() => controller.close()),
          destroy: () => close(() => controller.error(new Error('the reader is too slow'))),
          onClose: (closed) => {
            onClose = closed;
          },
        });
      },
      cancel: () => close(() => {}),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: MAX_WAITING_BYTES }),
  );
}

/** An answer as a `Response`. */
function toResponse(answer, { isHead }) {
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) {
    for (const each of [value].flat()) headers.append(name, each);
  }
  const body = isHead ? null : answer.stream ? fetchStream(answer.stream) : (answer.body ?? null);
  return new Response(body, { status: answer.status, headers });
}

module.exports = { BASE_PATH, fetchRequest, nodeRequest, toResponse, writeNode };
