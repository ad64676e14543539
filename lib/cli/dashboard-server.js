'use strict';
// A dashboard on a port of this machine, behind a link that signs one browser in, once.

const { randomBytes, timingSafeEqual } = require('node:crypto');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { createServer } = require('node:http');
const os = require('node:os');
const { SAFETY_HEADERS, isLoopbackHost } = require('../dashboard/access.js');
const { EXIT } = require('./exit-codes.js');
const { CommandError } = require('./failure.js');

/** Taken where none is named, if nobody has it. */
const DEFAULT_PORT = 4321;
/** How long requests may go on at the end. */
const CLOSE_MS = 1_000;

const newKey = () => randomBytes(32).toString('base64url');

const isSame = (given, key) =>
  given.length === key.length && timingSafeEqual(Buffer.from(given), Buffer.from(key)) === true;

/** What the user of this machine is called in the audit log. */
function userName() {
  try {
    return os.userInfo().username || 'unnamed';
  } catch {
    return 'unnamed';
  }
}

/** Lets in the one browser that came by the link. */
class Door {
  /** Of the link; `undefined`: it was used. */
  #key = newKey();
  #session = newKey();
  #cookie;

  constructor(port) {
    // Cookies do not tell ports apart.
    this.#cookie = `ductape_session_${port}`;
  }

  get key() {
    return this.#key;
  }

  /** Whether this browser came by the link. */
  isOpen(request) {
    const cookies = (request.headers.cookie ?? '').split(';').map((each) => each.trim());
    const name = `${this.#cookie}=`;
    return cookies.some((each) => each.startsWith(name) && isSame(each.slice(name.length), this.#session));
  }

  /** The cookie for who has the key, which is then used up; `undefined`: it is wrong, or was used before. */
  take(key) {
    if (this.#key === undefined || !isSame(key, this.#key)) return undefined;
    this.#key = undefined;
    return `${this.#cookie}=${this.#session}; Path=/; HttpOnly; SameSite=Strict`;
  }
}

/** Goes on by itself: a redirect from another site, as of a terminal in a browser, would come without the cookie. */
const WELCOME =
  '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/"><title>ductape</title><a href="/">Go on</a>\n';

function answer(response, status, type, text, headers = {}) {
  response.writeHead(status, { ...SAFETY_HEADERS, 'content-type': `${type}; charset=utf-8`, ...headers });
  response.end(text);
}

const USED =
  'this link was used, or is not the one that the command printed: start the command again for another one\n';

/** What stands before the dashboard: names of this machine alone, and the link. */
function guarded(dashboard, door, isExposed) {
  return (request, response) => {
    if (!isExposed && !isLoopbackHost(request.headers.host)) {
      answer(response, 403, 'text/plain', 'only localhost, 127.0.0.1 and [::1] are served\n');
      return;
    }
    // Browsers ask for it beside the page that goes on.
    if (request.url === '/favicon.ico') {
      answer(response, 204, 'text/plain', undefined);
      return;
    }
    const [, query] = /^\/\?(.*)$/.exec(request.url) ?? [];
    const key = query === undefined ? null : new URLSearchParams(query).get('key');
    if (key === null || request.method !== 'GET') {
      dashboard(request, response);
      return;
    }
    const cookie = door.take(key);
    if (cookie) answer(response, 200, 'text/html', WELCOME, { 'set-cookie': cookie });
    // Who is in already has come by it, and comes by it again from the history of the browser.
    else if (door.isOpen(request)) answer(response, 200, 'text/html', WELCOME);
    else answer(response, 403, 'text/plain', USED);
  };
}

/** Listens on the port, or on any if none was asked for and the usual one is taken. */
async function listen(server, { host, port }) {
  const begin = async (at) => {
    server.listen(at, host);
    await once(server, 'listening');
  };
  try {
    await begin(port ?? DEFAULT_PORT);
  } catch (error) {
    if (port !== undefined || error.code !== 'EADDRINUSE') {
      const remedy = error.code === 'EADDRINUSE' ? 'name another one with --port' : undefined;
      throw new CommandError(
        'ERROR',
        `cannot listen on port ${port ?? DEFAULT_PORT} of ${host}: ${error.message}`,
        remedy,
      );
    }
    await begin(0);
  }
}

/** Opens the link in the browser of this machine, if there is one. */
function openBrowser(link) {
  const [program, args] = { darwin: ['open', [link]], win32: ['cmd', ['/c', 'start', '', link]] }[process.platform] ?? [
    'xdg-open',
    [link],
  ];
  const child = spawn(program, args, { stdio: 'ignore', detached: true });
  child.once('error', () => {});
  child.unref();
}

/** Resolves with the exit code of the signal that ends the command. A second one ends it at once. */
function untilSignal() {
  return new Promise((resolve) => {
    let isEnding = false;
    const end = (code) => () => {
      if (isEnding) process.exit(code);
      isEnding = true;
      resolve(code);
    };
    process.on('SIGINT', end(EXIT.INTERRUPTED));
    process.on('SIGTERM', end(EXIT.TERMINATED));
  });
}

/** Serves the dashboard of an instance until a signal; resolves with the exit code. `about` is told beside the link. */
async function serveUntilSignal(ductape, { values, out }, about) {
  const { host = '127.0.0.1', port, open, expose, 'read-only': readOnly = false } = values;
  const ended = untilSignal();
  let door;
  const authorize = (request) => (door.isOpen(request) ? userName() : undefined);
  const dashboard = ductape.dashboard({ authorize, readOnly, basePath: '/' });
  const server = createServer((request, response) => guarded(dashboard, door, expose === true)(request, response));
  await listen(server, { host, port });
  const { port: taken } = server.address();
  door = new Door(taken);
  const link = `http://${host.includes(':') ? `[${host}]` : host}:${taken}/?key=${door.key}`;
  if (out.isJson) out.jsonLine({ url: link });
  else out.line(link);
  if (!out.isJson) for (const line of about) out.note(line);
  if (open) openBrowser(link);
  const code = await ended;
  server.close();
  setTimeout(() => server.closeAllConnections(), CLOSE_MS).unref();
  return code;
}

module.exports = { serveUntilSignal };
