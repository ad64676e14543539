'use strict';
// Who may do what: the program's `authorize`, loopback without one, and the proof that a change comes from the page itself.

const { randomBytes, timingSafeEqual } = require('node:crypto');
const { escaped } = require('../text.js');
const { Problem } = require('./problem.js');

const TOKEN_COOKIE = 'ductape_token';
const TOKEN_HEADER = 'x-ductape-token';
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
const MAX_NAME_CHARS = 200;

const LOOPBACK_PEER = /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$|^::1$/i;
const LOOPBACK_HOST = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d{1,5})?$/i;
/** Headers of a proxy, behind which a peer on loopback may be anybody. */
const PROXY_HEADER = new RegExp(
  `^(?:${[
    'forwarded',
    'x-forwarded(?:-.*)?',
    'x-original-(?:host|forwarded-for)',
    'x-real-ip',
    'x-client-ip',
    'x-cluster-client-ip',
    'x-proxyuser-ip',
    'x-envoy-external-address',
    'x-azure-clientip',
    'x-appengine-user-ip',
    'cf-connecting-ip',
    'true-client-ip',
    'fly-client-ip',
    'fastly-client-ip',
    'cdn-loop',
    'via',
  ].join('|')})$`,
);

/** Headers of every answer. */
const SAFETY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

const forbidden = (message) => new Problem(403, 'FORBIDDEN', message);

/** Whether the host is a name of this machine alone: another name may be anybody's who points it here. */
const isLoopbackHost = (host) => typeof host === 'string' && LOOPBACK_HOST.test(host);

/** Host and port of an address; `undefined` for what is none, such as the opaque origin `null`. */
function hostOf(address) {
  try {
    return new URL(address).host;
  } catch {
    return undefined;
  }
}

const isSameHost = (origin, request) => hostOf(origin) === request.host?.toLowerCase();

/** The version of HTTP, or NaN. Fastify's request has Node's as `raw`, Koa's context as `req`. */
function httpVersionOf({ given }) {
  const version = [given?.httpVersion, given?.raw?.httpVersion, given?.req?.httpVersion].find(
    (each) => each !== undefined,
  );
  return Number(version);
}

/**
 * Whether anything tells of a proxy. One that adds no header and names this machine in `Host` shows only by its HTTP/1.0, as nginx
 * speaks by default, and by what the browser says of the page that it is on.
 */
function isProxied(request) {
  if (request.headerNames().some((name) => PROXY_HEADER.test(name)) || httpVersionOf(request) < 1.1) return true;
  const [origin, referer] = [request.header('origin'), request.header('referer')];
  // Both are on loopback when they are equal. With `authorize`, a proxy may give `Host` another name than the browser knows.
  if (origin !== undefined && !isSameHost(origin, request)) return true;
  return referer !== undefined && !isLoopbackHost(hostOf(referer));
}

/** The user where the program has no `authorize`: whoever is on this machine. */
function loopbackUser(request) {
  const remedy = 'give `authorize` to `ductape.dashboard` to let others in';
  if (request.peer === undefined)
    throw forbidden(`without \`authorize\` only loopback is served, and who asks is not known; ${remedy}`);
  if (!LOOPBACK_PEER.test(request.peer)) throw forbidden(`without \`authorize\` only loopback is served; ${remedy}`);
  if (!isLoopbackHost(request.host)) {
    throw forbidden(`without \`authorize\` only the names localhost, 127.0.0.1 and [::1] are served; ${remedy}`);
  }
  if (isProxied(request)) {
    throw forbidden(`without \`authorize\` nothing is served through a proxy, or from a page elsewhere; ${remedy}`);
  }
  return { name: 'loopback', readOnly: false };
}

/** Refuses a `readOnly` that is spelt otherwise: passed over, it would let somebody write who may not. */
function checkSpelling(user) {
  // A class may have it as a getter, which is a member of its prototype.
  for (let at = user; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) {
      if (name !== 'readOnly' && name.replace(/[-_]/g, '').toLowerCase() === 'readonly') {
        throw new TypeError(`authorize: gave a user with ${escaped(name)}, which must be called readOnly`);
      }
    }
  }
}

/** What `authorize` gave, as a user; `undefined`: it refuses. */
function userOf(given) {
  // Also 0 and NaN, which may be the identifier of nobody.
  if (!given) return undefined;
  if (given === true) return { name: 'unnamed', readOnly: false };
  if (typeof given === 'string') return { name: given, readOnly: false };
  if (typeof given === 'object' && 'user' in given) {
    if (!given.user) return undefined;
    if (typeof given.user === 'string') {
      checkSpelling(given);
      // What is not plainly `false` or left out is no right to write.
      return { name: given.user, readOnly: given.readOnly !== undefined && given.readOnly !== false };
    }
  }
  throw new TypeError('authorize: must give { user, readOnly }, a name, true, or nothing to refuse');
}

/** Codes of errors by which `authorize` refuses, as `ductape.sessions.verify` does. */
const REFUSALS = new Set(['UNAUTHORIZED', 'FORBIDDEN']);

/** What `authorize` says of a request. Why it failed is for the log alone, whatever code its error has. */
async function askProgram(authorize, request) {
  try {
    return userOf(await authorize(request.given));
  } catch (cause) {
    if (REFUSALS.has(cause?.code)) return undefined;
    throw new Error('`authorize` failed', { cause });
  }
}

/** Who asks, and whether they may change anything. */
async function identify(request, { authorize, readOnly }) {
  const user = authorize ? await askProgram(authorize, request) : loopbackUser(request);
  if (user === undefined)
    throw new Problem(401, 'UNAUTHORIZED', 'sign in first: the program does not let this request in');
  return {
    // Nobody may look like another in the audit log, or end its line.
    name: escaped(user.name).slice(0, MAX_NAME_CHARS).toWellFormed(),
    readOnly: readOnly || user.readOnly,
  };
}

/** Values of a cookie; several of one name may come from paths above. */
function cookiesOf(request, name) {
  return (request.header('cookie') ?? '')
    .split(/[;,]/)
    .map((each) => each.trim())
    .filter((each) => each.startsWith(`${name}=`))
    .map((each) => each.slice(name.length + 1));
}

/** The token of the browser's session: that of its cookie, or a new one. */
function tokenOf(request) {
  return cookiesOf(request, TOKEN_COOKIE).find((each) => TOKEN.test(each)) ?? randomBytes(32).toString('base64url');
}

const tokenCookie = (token, base, isSecure) =>
  `${TOKEN_COOKIE}=${token}; Path=${base || '/'}; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`;

const isSame = (a, b) => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

/** Refuses what another site makes a browser ask for. `Sec-Fetch-Site` is the browser's own word, which no page can write. */
function checkSite(request) {
  const site = request.header('sec-fetch-site');
  if (site !== undefined) {
    if (site === 'same-origin' || (site === 'none' && request.method === 'GET')) return;
    throw forbidden('this request comes from another site');
  }
  const origin = request.header('origin');
  if (origin === undefined) return;
  if (!isSameHost(origin, request)) throw forbidden('this request comes from another site');
}

/** Refuses a change that the page itself has not asked for. */
function checkForgery(request) {
  checkSite(request);
  const told = request.header(TOKEN_HEADER) ?? '';
  if (!TOKEN.test(told) || !cookiesOf(request, TOKEN_COOKIE).some((each) => isSame(each, told))) {
    throw forbidden(`the token is missing or wrong: ask for a session first, and send its token as ${TOKEN_HEADER}`);
  }
}

module.exports = { SAFETY_HEADERS, checkForgery, checkSite, identify, isLoopbackHost, tokenCookie, tokenOf };
