// Writes measurements into a document, between two comments that mark their place.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Replaces what stands between `<!-- bench:name -->` and `<!-- /bench:name -->`; the document is named from the root. */
export function publish(document, name, text) {
  const file = join(import.meta.dirname, '../../..', document);
  const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const before = readFileSync(file, 'utf8');
  const [from, to] = [before.indexOf(begin), before.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${document} has no place for it: ${begin} and ${end} are missing`);
  writeFileSync(file, `${before.slice(0, from + begin.length)}\n${text}\n${before.slice(to)}`);
}
