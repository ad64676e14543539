// Packages that programs use beside this one and that only a few tests need: installed once, outside of the clone.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const manifest = join(import.meta.dirname, '../fixtures/companions/package.json');

/** The folder that they are installed in, for up to the time that npm takes. */
export async function companionsFolder(): Promise<string> {
  const wanted = await readFile(manifest, 'utf8');
  const cache = process.env.DUCTAPE_TEST_CACHE ?? join(homedir(), '.cache/ductape-tests');
  const folder = join(cache, `companions-${createHash('sha256').update(wanted).digest('hex').slice(0, 12)}`);
  if (await readFile(join(folder, 'package.json')).catch(() => undefined)) return folder;
  const making = `${folder}-${process.pid}`;
  await mkdir(making, { recursive: true });
  await writeFile(join(making, 'package.json'), wanted);
  await run('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts'], {
    cwd: making,
    shell: process.platform === 'win32',
  });
  // Another process may have made it meanwhile.
  await rename(making, folder).catch(() => rm(making, { recursive: true, force: true }));
  return folder;
}

/** One of them. */
// biome-ignore lint/suspicious/noExplicitAny: their types are not those of this package
export async function companion(name: string): Promise<any> {
  const require = createRequire(join(await companionsFolder(), 'package.json'));
  return require(name);
}
