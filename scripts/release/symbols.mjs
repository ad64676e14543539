// Whether a binary for Linux asks for no newer glibc than the oldest that we support. Needs `readelf` of binutils, which reads
// binaries of any architecture. Usage: node scripts/release/symbols.mjs FILE.node [--glibc 2.28]
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';

/** That of Debian 10, Ubuntu 18.10 and RHEL 8: Node.js 20 needs it too. */
const OLDEST_GLIBC = '2.28';

const options = { glibc: { type: 'string', default: OLDEST_GLIBC } };
const { values, positionals } = parseArgs({ options, allowPositionals: true });
const compare = (one, other) => one.localeCompare(other, 'en', { numeric: true });

if (positionals.length === 0) throw new Error('name a binary');
for (const file of positionals) {
  const text = execFileSync('readelf', ['--wide', '--version-info', file], { encoding: 'utf8', maxBuffer: 2 ** 27 });
  const needed = new Set(Array.from(text.matchAll(/\bName: GLIBC_([\d.]+)/g), ([, version]) => version));
  if (needed.size === 0) throw new Error(`${file} names no version of glibc: is it a binary for Linux with glibc?`);
  const newest = [...needed].sort(compare).at(-1);
  console.log(`${file} needs glibc ${newest}`);
  if (compare(newest, values.glibc) > 0) {
    console.error(`that is newer than ${values.glibc}: build it with --use-napi-cross`);
    process.exitCode = 1;
  }
}
