'use strict';
// Arguments as the JSON that crosses to the native side: what is read of them, and how much of it.

const { isBoxedPrimitive, isDate, isNumberObject } = require('node:util/types');
const { DuctapeError, refuse, refuseAll, toFailure } = require('./errors.js');

/** Members of arguments that hold data of the program's: they are written by the rules of `JSON.stringify`. */
const PAYLOADS = new Set(['input', 'data', 'value']);
const NONE = new Set();
/** Entries of a list that are written first, before anything is known of their length. */
const FIRST_ENTRIES = 16;
/** About so much is written at a time, between two looks at the length. */
const CHUNK_CHARS = 256 * 1024;
const MAX_CHUNK_ENTRIES = 256;
/** As `MAX_BATCH_JOBS` in `src/api/batch.rs`, which says the same of a list that has come so far. */
const MAX_LIST_ENTRIES = 10_000;

/** Problems that one error lists at most. */
const MAX_PROBLEMS = 100;

/**
 * `JSON.stringify` of a value; throws a `VALIDATION_ERROR` about `what` when that fails, when `findNulls(value)` returns problems,
 * or when it gives more than `maxChars`.
 */
function stringify(value, what, findNulls = undefined, maxChars = Number.POSITIVE_INFINITY) {
  const text = reported(what, () => JSON.stringify(value)) ?? 'null';
  if (text.length > maxChars) {
    refuse(
      what,
      `is ${text.length} characters of JSON, the limit is ${maxChars}; dispatch a reference to the data instead`,
    );
  }
  if (findNulls !== undefined && text.includes('null')) {
    const problems = reported(what, () => findNulls(value));
    if (problems.length > 0) refuseAll(problems);
  }
  return text;
}

/**
 * The numbers that are not finite and the dates that are none, as problems: JSON has `null` for them, which counts as absent.
 * Members named in `left` are not looked at.
 */
function nullsOfJson(value, path, left = NONE, found = []) {
  if (value === null || found.length === MAX_PROBLEMS) return found;
  if (typeof value === 'number' && !Number.isFinite(value)) {
    found.push({ path, message: `must be a finite number, got ${value}` });
  }
  if (typeof value !== 'object') return found;
  if (isNumberObject(value)) return nullsOfJson(Number(value), path, left, found);
  const written = typeof value.toJSON === 'function' ? value.toJSON() : value;
  if (written === null) {
    found.push({
      path,
      message: isDate(value) ? 'must be a date, got an invalid one' : 'must be a value, its JSON is null',
    });
  }
  if (written === null || typeof written !== 'object') return found;
  for (const name of Object.keys(written)) {
    if (left.has(name)) continue;
    nullsOfJson(written[name], memberPath(path, name, Array.isArray(written)), NONE, found);
  }
  return found;
}

function memberPath(path, name, isEntry) {
  if (isEntry) return `${path}[${name}]`;
  return path === '' ? name : `${path}.${name}`;
}

/** The same for an argument of a method, but for its data. */
const nullsOfArgument = (value, path = '') => nullsOfJson(value, path, PAYLOADS);

/**
 * The JSON of what `read` makes of the entries of a list, as the texts of lists that follow each other. Neither is done to the end of
 * one that comes to more than `maxChars`: the program's other work waits meanwhile. `nulls` gets the problems with numbers and dates
 * that JSON has `null` for. `written(text, offset)` is told of each text but the last as soon as it is there.
 */
function stringifyList(list, what, maxChars, read, nulls, written) {
  const { length } = list;
  if (length > MAX_LIST_ENTRIES) {
    refuse(what, `dispatchMany takes at most ${MAX_LIST_ENTRIES} jobs at a time, got ${length}; split the list`);
  }
  const texts = [];
  let [chars, at, count] = [0, 0, FIRST_ENTRIES];
  while (at < length) {
    const chunk = [];
    const text = stringify(
      reported(what, () => {
        for (let entry = at; entry < Math.min(at + count, length); entry++) chunk.push(read(list[entry]));
        return chunk;
      }),
      what,
      () => {
        const found = chunk.flatMap((entry, index) => nullsOfArgument(entry, `[${at + index}]`));
        nulls.push(...found.slice(0, MAX_PROBLEMS - nulls.length));
        return [];
      },
    );
    texts.push(text);
    chars += text.length;
    if (at + chunk.length < length) written(text, at);
    at += chunk.length;
    if (chars > maxChars) {
      refuse(what, `are ${chars} characters of JSON by entry ${at}, the limit is ${maxChars}; split the list`);
    }
    // As many as would fit if they were as long as those so far; they may be longer.
    count = Math.max(1, Math.min(MAX_CHUNK_ENTRIES, Math.floor((CHUNK_CHARS * at) / chars)));
  }
  return texts.length === 0 ? ['[]'] : texts;
}

/** The JSON of one list, from that of lists that follow each other. */
const joinLists = (texts) => `[${texts.map((text) => text.slice(1, -1)).join(',')}]`;

/**
 * An argument with what its objects inherit as members of their own, since JSON has own members alone: the enumerable ones, and
 * those that a class defines by a getter. Members named in `left` stay as they are; `outer` is what the argument is a part of.
 */
function withInherited(value, left = NONE, outer = undefined) {
  if (value === null || typeof value !== 'object') return value;
  const isList = Array.isArray(value);
  let copy;
  if (!isList && !isPlain(value)) {
    if (typeof value.toJSON === 'function' || isBoxedPrimitive(value)) return value;
    copy = members(value);
  }
  const source = copy ?? value;
  let place;
  for (const name in source) {
    if (left.has(name)) continue;
    const member = source[name];
    if (member === null || typeof member !== 'object') continue;
    place ??= { value, outer };
    const read = isWithin(member, place) ? member : withInherited(member, NONE, place);
    if (read === member) continue;
    copy ??= isList ? [...value] : { ...value };
    copy[name] = read;
  }
  return copy ?? value;
}

/** Whether it is one of these, or the one that is read: `JSON.stringify` reports the cycle. */
function isWithin(value, place) {
  for (let at = place; at !== undefined; at = at.outer) if (at.value === value) return true;
  return false;
}

/** The same for an argument of a method, whose data is left to `JSON.stringify`. */
const readArgument = (value) => withInherited(value, PAYLOADS);

/** What an object has and inherits. */
function members(value) {
  const found = Object.create(null);
  const seen = new Set();
  for (let owner = value; owner !== null && !isRoot(owner); owner = Object.getPrototypeOf(owner)) {
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(owner))) {
      const isRead = property.enumerable || (owner !== value && property.get !== undefined);
      if (isRead && !seen.has(name)) found[name] = value[name];
      seen.add(name);
    }
  }
  return found;
}

function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || isRoot(prototype);
}

/** Whether it is an `Object.prototype`, whichever realm's. */
function isRoot(prototype) {
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf');
}

/** Reads an argument; what the program's code throws meanwhile becomes a `VALIDATION_ERROR` about `what`. */
function reported(what, read) {
  try {
    return read();
  } catch (cause) {
    // What is refused by name on the way says it better.
    if (cause instanceof DuctapeError && cause.details) throw cause;
    refuse(what, reason(cause), cause);
  }
}

function reason(cause) {
  const isTooLong = cause?.code === 'ERR_STRING_TOO_LONG' || cause?.message === 'Invalid string length';
  if (isTooLong && cause instanceof Error) {
    return 'is more JSON than a text can hold; dispatch a reference to the data instead, or split the list';
  }
  return `cannot be stored as JSON: ${toFailure(cause).message.split('\n')[0]}`;
}

module.exports = {
  joinLists,
  members,
  nullsOfArgument,
  nullsOfJson,
  readArgument,
  reported,
  stringify,
  stringifyList,
  withInherited,
};
