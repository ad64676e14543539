// Links in the documents lead somewhere: to files that are there, and to headings of theirs.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');
/** What others wrote, or a build made. */
const FOREIGN = new Set(['node_modules', 'target', 'fixtures', 'static', '.git']);

/** Files below a folder whose names end so, as paths from the root. */
async function filesBelow(folder: string, ends: RegExp): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  const found = await Promise.all(
    entries
      .filter(({ name }) => !FOREIGN.has(name))
      .map(async (entry) => {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) return filesBelow(path, ends);
        return ends.test(entry.name) ? [path] : [];
      }),
  );
  return found.flat();
}

const withoutCode = (markdown: string) => markdown.replace(/^```.*?^```$/gms, '').replace(/`[^`\n]+`/g, '');

/** The anchors that GitHub and npm give to the headings of a page. */
function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of markdown.replace(/^```.*?^```$/gms, '').matchAll(/^#+ (.+)$/gm)) {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = text.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/ /g, '-');
    let anchor = slug;
    for (let more = 1; anchors.has(anchor); more++) anchor = `${slug}-${more}`;
    anchors.add(anchor);
  }
  return anchors;
}

const pages = (await filesBelow('.', /\.md$/)).sort();
const texts = new Map(
  await Promise.all(pages.map(async (page) => [page, await readFile(join(root, page), 'utf8')] as const)),
);

/** What is wrong with the links of a page. */
function deadLinks(page: string): string[] {
  const text = withoutCode(texts.get(page) ?? '');
  const targets = [...text.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)].map(([, target = '']) => target);
  return targets.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : relative(root, resolve(root, dirname(page), decodeURI(path)));
    if (!existsSync(join(root, file))) return true;
    return anchor !== undefined && !anchorsOf(texts.get(file) ?? '').has(anchor);
  });
}

describe('links in the documents', () => {
  it('are found', () => {
    expect(pages).toContain('README.md');
    expect(pages.length).toBeGreaterThan(30);
  });

  it.each(pages)('lead somewhere: %s', (page) => {
    expect(deadLinks(page)).toEqual([]);
  });

  it('reach every page of docs/ from its index', () => {
    const index = texts.get(join('docs', 'README.md')) ?? '';
    const guides = join('docs', 'guides');
    const missing = pages
      .filter((page) => [guides, dirname(guides)].includes(dirname(page)) && page !== join('docs', 'README.md'))
      .map((page) => relative('docs', page).replaceAll('\\', '/'))
      .filter((page) => !index.includes(`](${page}`));
    expect(missing).toEqual([]);
  });
});

describe('pages that code and messages name', () => {
  it('are there', async () => {
    const sources = [
      ...(await filesBelow('.', /^index\.(js|mjs|d\.ts)$/)),
      ...(
        await Promise.all(
          ['lib', 'types', 'src', 'examples', 'bench', 'scripts', 'faults', 'habitats'].map((each) =>
            filesBelow(each, /\.(js|mjs|rs|d\.ts)$/),
          ),
        )
      ).flat(),
    ];
    const missing: string[] = [];
    for (const source of sources) {
      const text = await readFile(join(root, source), 'utf8');
      for (const [page] of text.matchAll(/\bdocs\/[\w./-]+\.md\b/g)) {
        if (!texts.has(page.replaceAll('/', sep))) missing.push(`${source}: ${page}`);
      }
    }
    expect(missing).toEqual([]);
  });
});
