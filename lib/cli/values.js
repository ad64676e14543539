'use strict';
// Reads the values of options. What the package checks itself is passed on as it is.

const { readFileSync } = require('node:fs');
const { UsageError } = require('./failure.js');

const DURATION_UNITS = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|min|m|h|d|w)$/;

/** An integer from `min` to `max`. */
const integer =
  (min, max = Number.MAX_SAFE_INTEGER) =>
  (text, name) => {
    const number = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(number) && number >= min && number <= max) return number;
    const bounds = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`;
    throw new UsageError(`${name}: must be an integer ${bounds}, got '${text}'`);
  };

/** ms of `500`, `30s`, `5m`, `2h`, `1d`, `1w`. */
function duration(text, name) {
  if (/^\d+$/.test(text)) return Number(text);
  const match = DURATION.exec(text);
  if (match) return Math.round(Number(match[1]) * DURATION_UNITS[match[2]]);
  throw new UsageError(`${name}: must be ms or a number with ms, s, m, h, d or w, as in 30s or 2h, got '${text}'`);
}

/** ms since the epoch, or an ISO 8601 date, which the package reads. */
function time(text, name) {
  if (text === 'now') return Date.now();
  if (/^\d+$/.test(text)) {
    // `2026` is meant as a year by who writes it.
    if (text.length >= 9) return Number(text);
    throw new UsageError(`${name}: must be an ISO 8601 date or ms since 1970, got '${text}'`);
  }
  return text;
}

/** A time, or how long ago: `2h`. */
function timeOrAgo(text, name) {
  return DURATION.test(text) ? Date.now() - duration(text, name) : time(text, name);
}

/** JSON; `@FILE` reads it from a file. */
function json(text, name) {
  const source = text.startsWith('@') ? fileText(text.slice(1), name) : text;
  try {
    return JSON.parse(source);
  } catch (error) {
    throw new UsageError(
      `${name}: is not JSON: ${error.message}`,
      `quote it for the shell, as in --${name} '{"a":1}', or give @FILE`,
    );
  }
}

function fileText(path, name) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${name}: cannot read ${path}: ${error.message}`);
  }
}

/** `[name, value]` of `name=value`. */
function pair(text, name) {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new UsageError(`${name}: must be NAME=VALUE, got '${text}'`);
}

/** One of these texts. */
const oneOf = (known) => (text, name) => {
  if (known.includes(text)) return text;
  throw new UsageError(`${name}: must be one of ${known.join(', ')}, got '${text}'`);
};

/** Texts between commas; at least one. */
function list(text, name) {
  const parts = text.split(',').filter((part) => part !== '');
  if (parts.length === 0) throw new UsageError(`${name}: must name at least one, got '${text}'`);
  return parts;
}

module.exports = { duration, integer, json, list, oneOf, pair, time, timeOrAgo };
