// Jobs without handlers: each other file here describes resources and dispatches jobs that the package does by itself. All
// parts share one instance. A part whose server is not named by its variable is skipped, by name.
// Usage: node examples/native/index.mjs [part…], as in `node examples/native/index.mjs actions`
import { readdir } from 'node:fs/promises';
import Ductape, { defineResources } from 'ductape';

const wanted = process.argv.slice(2);
const names = (await readdir(import.meta.dirname))
  .filter((file) => file.endsWith('.mjs') && file !== 'index.mjs')
  .map((file) => file.replace('.mjs', ''))
  .filter((name) => wanted.length === 0 || wanted.includes(name))
  .sort();

/** The sections of all parts, put together. */
function merged(sections) {
  const all = {};
  for (const section of sections) {
    for (const [name, members] of Object.entries(section)) all[name] = [...(all[name] ?? []), ...members];
  }
  return all;
}

const parts = [];
for (const name of names) {
  const part = await import(`./${name}.mjs`);
  if (part.address && !process.env[part.address]) console.log(`${name}: skipped, set ${part.address}`);
  else parts.push({ name, part, sections: await part.resources() });
}

const ductape = new Ductape({
  store: 'memory:',
  product: 'my-app',
  env: 'prd',
  resources: defineResources({ products: [{ tag: 'my-app', ...merged(parts.map(({ sections }) => sections)) }] }),
  secrets: Object.assign({}, ...parts.map(({ part }) => part.secrets)),
});
try {
  for (const { type, tag, ok, duration_ms, error } of await ductape.resources.check()) {
    console.log(`${type} ${tag}: ${ok ? `fine, ${duration_ms} ms` : `${error.code}: ${error.message}`}`);
  }
  for (const { name, part } of parts) {
    console.log(`\n${name}`);
    await part.run(ductape, (...line) => console.log(' ', ...line));
  }
} finally {
  await ductape.close();
  for (const { part } of parts) await part.close?.();
}
