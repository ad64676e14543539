'use strict';
// Encryption keys on their way to the native side, which reads and checks them.

/** Keys with their bytes as text; what is no list of objects is left to be refused. */
function keysForNative(keys) {
  if (!Array.isArray(keys)) return keys;
  return keys.map((entry) =>
    entry?.key instanceof Uint8Array ? { ...entry, key: Buffer.from(entry.key).toString('base64') } : entry,
  );
}

module.exports = { keysForNative };
