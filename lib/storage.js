'use strict';
// Inputs of the namespace `storage`, which may carry bytes.

const { constants } = require('node:buffer');
const { isUint8Array } = require('node:util/types');
const { DuctapeError, refuse } = require('./errors.js');
const { literal } = require('./marks.js');

/** As base64, more do not fit into one text. */
const MAX_BYTES = Math.floor(constants.MAX_STRING_LENGTH / 4) * 3;

/** Bytes as base64, which is how they are stored; undefined: they are none. */
function base64(value) {
  // Not `instanceof`: a test runner's bytes may be of another realm.
  if (!isUint8Array(value)) return undefined;
  if (value.byteLength > MAX_BYTES) {
    refuse('input.buffer', `is ${value.byteLength} bytes, more than a job can hold; upload a file by its path instead`);
  }
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
}

/** A file with its bytes as base64; undefined: it has none. Base64 holds no expression, so that nothing marks it. */
function withBase64(file) {
  const text = base64(file?.buffer) ?? base64(file?.buffer?.$literal);
  return text === undefined ? undefined : { ...file, buffer: text };
}

/** What of an input of this namespace is sent. */
function prepareInput(namespace, input) {
  if (namespace !== 'storage') return input;
  try {
    const file = withBase64(input?.input);
    if (file !== undefined) return { ...input, input: file };
    const marked = withBase64(input?.input?.$literal);
    if (marked !== undefined) return { ...input, input: literal(marked) };
  } catch (error) {
    if (error instanceof DuctapeError) throw error;
    // A getter that throws does so again under `JSON.stringify`, whose failures are reported.
  }
  return input;
}

module.exports = { prepareInput };
