'use strict';
// Inputs of the namespace `storage`, which may carry bytes.

const { isUint8Array } = require('node:util/types');

/** Bytes as base64, which is how they are stored; undefined: they are none. */
function base64(value) {
  // Not `instanceof`: a test runner's bytes may be of another realm.
  if (!isUint8Array(value)) return undefined;
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
    if (marked !== undefined) return { ...input, input: { $literal: marked } };
  } catch {
    // A getter that throws does so again under `JSON.stringify`, whose failures are reported.
  }
  return input;
}

module.exports = { prepareInput };
