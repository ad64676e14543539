'use strict';
// Loads the native class `Ductape`.

/** Loaded by the first instance, so that importing the package does nothing. */
let native;

function loadNative() {
  if (native) return native;
  try {
    native = require('../native.js');
  } catch (cause) {
    const platform = `${process.platform} ${process.arch}`;
    throw new Error(
      `ductape has no binary for ${platform} here. If it is a supported platform, the optional dependency for it was not ` +
        'installed: remove node_modules and the lock file and install again without --omit=optional. Otherwise build it ' +
        'from source with a Rust toolchain: npm run build.',
      { cause },
    );
  }
  return native;
}

module.exports = { loadNative };
