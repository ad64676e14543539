'use strict';
// Files of the browser's side. Only those that are there when it is first asked are known by name, so that no name leads elsewhere.

const { createHash } = require('node:crypto');
const { readFileSync, readdirSync } = require('node:fs');
const { dirname, join } = require('node:path');
const { Problem } = require('./problem.js');

// A bundle in ES modules has no `__dirname`: the files are then next to the program.
const FOLDER = join(typeof __dirname === 'string' ? __dirname : dirname(process.argv[1] ?? ''), 'static');
const ASSETS = 'assets';
/** Stands in the page where the path of the dashboard, with a slash at its end, belongs. */
const BASE = '{{base}}';
const TYPES = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  png: 'image/png',
  ico: 'image/x-icon',
  woff2: 'font/woff2',
  txt: 'text/plain; charset=utf-8',
  json: 'application/json',
  webmanifest: 'application/manifest+json',
};
/** Endings of files that hold another one compressed, the best first. */
const ENCODINGS = [
  ['br', '.br'],
  ['gzip', '.gz'],
];
const YEAR = 'public, max-age=31536000, immutable';

const typeOf = (name) => {
  const ending = name.slice(name.lastIndexOf('.') + 1);
  return Object.hasOwn(TYPES, ending) ? TYPES[ending] : 'application/octet-stream';
};

/** Encodings that the browser takes; `gzip;q=0` is one that it does not. */
function accepted(header = '') {
  return new Set(
    header
      .split(',')
      .map((each) =>
        each
          .trim()
          .toLowerCase()
          .split(/\s*;\s*q=/),
      )
      .filter(([, weight]) => weight === undefined || Number(weight) > 0)
      .map(([name]) => name),
  );
}

class StaticFiles {
  #folder;
  #page;
  /** Names of the files in the folder of assets. */
  #names;
  #contents = new Map();

  constructor(folder = FOLDER) {
    this.#folder = folder;
  }

  /** The page, for a base path. */
  page(base) {
    try {
      this.#page ??= readFileSync(join(this.#folder, 'index.html'), 'utf8');
    } catch {
      throw new Problem(404, 'NOT_FOUND', 'the pages are not built: run `npm run build:dashboard`');
    }
    const text = this.#page.replaceAll(BASE, escapedAttribute(`${base}/`));
    return { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body: Buffer.from(text) };
  }

  /** One of the files. */
  asset(name, request) {
    this.#names ??= new Set(listed(join(this.#folder, ASSETS)));
    if (!this.#names.has(name)) throw new Problem(404, 'NOT_FOUND', 'there is no such file');
    const takes = accepted(request.header('accept-encoding'));
    const [encoding, ending] = ENCODINGS.find(([each, end]) => takes.has(each) && this.#names.has(name + end)) ?? [
      undefined,
      '',
    ];
    const { body, tag } = this.#read(name + ending);
    const headers = {
      'content-type': typeOf(name),
      'cache-control': YEAR,
      vary: 'accept-encoding',
      etag: tag,
      ...(encoding && { 'content-encoding': encoding }),
    };
    const known = request.header('if-none-match');
    if (known?.split(/\s*,\s*/).some((each) => each.replace(/^W\//, '') === tag)) return { status: 304, headers };
    return { status: 200, headers, body };
  }

  #read(name) {
    let known = this.#contents.get(name);
    if (!known) {
      const body = readFileSync(join(this.#folder, ASSETS, name));
      known = { body, tag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` };
      this.#contents.set(name, known);
    }
    return known;
  }
}

function listed(folder) {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name);
  } catch {
    return [];
  }
}

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escapedAttribute = (text) => text.replace(/[&<>"']/g, (character) => ESCAPES[character]);

module.exports = { StaticFiles };
