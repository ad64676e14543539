// The programs that docs/guides shows: files whose first line is a comment with their name.
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { transform } from 'esbuild';
import { temporaryFolder } from './instances.js';

export const root = resolve(import.meta.dirname, '../..');

export interface ShownFile {
  /** The page, as `containers.md`. */
  page: string;
  /** As the comment in its first line has it; without one, its place in the page. */
  name: string;
  language: 'js' | 'ts';
  code: string;
  /** Whether it stands alone, and ends by itself. */
  runs: boolean;
}

export async function shownFiles(page: string): Promise<ShownFile[]> {
  const text = await readFile(join(root, 'docs/guides', page), 'utf8');
  const blocks = [...text.matchAll(/(<!-- not run: [^\n]* -->\n)?^```(js|ts)\n(.*?)^```$/gms)];
  return blocks.map(([, mark, language, code = ''], index) => {
    const name = /^\/\/ (\S+\.[cm]?[jt]s)\n/.exec(code)?.[1];
    return {
      page,
      name: name ?? `block-${index + 1}.${language}`,
      language: language as 'js' | 'ts',
      code,
      runs: mark === undefined && name === undefined,
    };
  });
}

/** The one file of the page that has this name. */
export async function shownFile(page: string, name: string): Promise<ShownFile> {
  const found = (await shownFiles(page)).filter((each) => each.name === name);
  if (found.length !== 1 || !found[0]) throw new Error(`${page} shows ${found.length} files ${name}`);
  return found[0];
}

/** A folder that has the package, and dependencies of the clone by their names. */
export async function folderWith(dependencies: string[] = []): Promise<string> {
  const folder = await temporaryFolder();
  for (const name of ['ductape', ...dependencies]) {
    const target = name === 'ductape' ? root : join(root, 'node_modules', name);
    await mkdir(dirname(join(folder, 'node_modules', name)), { recursive: true });
    await symlink(target, join(folder, 'node_modules', name), 'junction');
  }
  return folder;
}

/** Writes a file of a page into the folder as an ES module that Node.js runs; resolves with its path. */
export async function written({ name, code, language }: ShownFile, folder: string): Promise<string> {
  const file = join(folder, name.replaceAll('/', '-').replace(/\.[jt]s$/, '.mjs'));
  const { code: plain } = await transform(code, { loader: language, target: 'node20', format: 'esm' });
  await writeFile(file, plain);
  return file;
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  return typeof address === 'object' && address ? address.port : 0;
}
