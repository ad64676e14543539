'use strict';
// Inputs of the namespace `storage`, which may carry bytes.

const { isUint8Array } = require('node:util/types');

/** The input with its bytes as base64, which is how they are stored. */
function withBase64(input) {
  let buffer;
  try {
    buffer = input?.input?.buffer;
  } catch {
    // A getter that throws does so again under `JSON.stringify`, whose failures are reported.
  }
  // Not `instanceof`: a test runner's bytes may be of another realm.
  if (!isUint8Array(buffer)) return input;
  const text = Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength).toString('base64');
  return { ...input, input: { ...input.input, buffer: text } };
}

/** What of an input of this namespace is sent. */
function prepareInput(namespace, input) {
  return namespace === 'storage' ? withBase64(input) : input;
}

module.exports = { prepareInput };
