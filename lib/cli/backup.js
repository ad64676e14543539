'use strict';
// `backup`: a consistent copy of the store while processes go on.

const fs = require('node:fs');
const { resolve } = require('node:path');
const { performance } = require('node:perf_hooks');
const { UsageError } = require('./failure.js');
const { bytesText, durationText } = require('./format.js');
const { Progress, withProgress } = require('./progress.js');
const { loadConfig, storeFile, storeName, withStore } = require('./store.js');

const sizeOf = (path) => fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/**
 * Does `work`, which writes `partial` first. A signal that ends the command takes that file away, unless it is another call's: the
 * same command can then begin again.
 */
async function withoutRemains(partial, { restorers }, work) {
  if (fs.existsSync(partial)) return work();
  const remove = () => fs.rmSync(partial, { force: true });
  restorers.add(remove);
  try {
    return await work();
  } finally {
    restorers.delete(remove);
  }
}

module.exports = {
  name: 'backup',
  summary: 'copies the store into a file while processes run',
  about: 'Copies what is committed by now into a new file, while processes go on. With PostgreSQL use pg_dump.',
  usage: 'FILE [options]',
  arguments: { min: 1 },
  notes: ['Ductape.restore puts it back, once no process has the store open.'],
  options: {},
  examples: ['ductape backup backups/jobs-$(date +%F).db'],
  afterInterruption: 'there is no backup; the same command makes it',
  async run(context) {
    const { values, positionals, out, env } = context;
    const path = resolve(positionals[0]);
    const file = storeFile(storeName(values, await loadConfig(values, env), env));
    if (file === undefined) throw new UsageError('backup: the store is not in a file', 'for PostgreSQL use pg_dump');
    const partial = `${path}.partial`;
    const begun = performance.now();
    const progress = new Progress(out, 'copying', { total: sizeOf(file), unit: 'bytes' });
    await withStore(context, (ductape) =>
      withoutRemains(partial, context, () =>
        withProgress(
          progress,
          context,
          async () => sizeOf(partial),
          () => ductape.backup(path),
        ),
      ),
    );
    const [bytes, duration] = [sizeOf(path), Math.round(performance.now() - begun)];
    if (out.isJson) out.json({ path, bytes, duration_ms: duration });
    else out.line(`${path}: ${bytesText(bytes)} in ${durationText(duration)}`);
  },
};
