// What is shipped besides the code: terms of others' code, the bill of materials, what the packages of platforms say.
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '..');
const read = (...path: string[]) => readFile(join(root, ...path), 'utf8').then((text) => text.replaceAll('\r\n', '\n'));
const readJson = async (...path: string[]) => JSON.parse(await read(...path));

const release = (script: string, ...args: string[]) =>
  run(process.execPath, [join(root, 'scripts/release', script), ...args], { maxBuffer: 2 ** 26 });

/** Binaries of some platforms are tested where there is no cargo. */
const noCargo = await run('cargo', ['--version']).then(
  () => false,
  () => true,
);

describe('THIRD-PARTY', () => {
  const named = async (kind: string) =>
    Array.from(
      (await read('THIRD-PARTY')).matchAll(new RegExp(`^- ${kind}: (\\S+) (\\S+)`, 'gm')),
      ([, name, version]) => `${name} ${version}`,
    );

  it('names crates of Cargo.lock, at its versions', async () => {
    const lock = (await read('Cargo.lock')).matchAll(/^name = "(.+)"\nversion = "(.+)"$/gm);
    const locked = new Set(Array.from(lock, ([, name, version]) => `${name} ${version}`));
    const crates = new Set(await named('crate'));
    expect(crates.size).toBeGreaterThan(100);
    expect([...crates].filter((crate) => !locked.has(crate))).toEqual([]);
    for (const crate of ['ring', 'rusqlite', 'tokio']) {
      expect([...crates].some((each) => each.startsWith(`${crate} `))).toBe(true);
    }
  });

  it('names the packages that are bundled, at the versions that are installed', async () => {
    const bundled = await named('npm');
    expect(bundled).toContain(`preact ${(await readJson('node_modules/preact/package.json')).version}`);
    expect(bundled).toContain(`uplot ${(await readJson('node_modules/uplot/package.json')).version}`);
  });

  it.skipIf(noCargo)('is as Cargo.lock and the bundle have it', { timeout: 300_000 }, async () => {
    await expect(release('third-party.mjs', '--check')).resolves.toMatchObject({ stderr: '' });
  });
});

describe.skipIf(noCargo)('the bill of materials', () => {
  interface Component {
    'bom-ref': string;
    type: string;
    name: string;
    version: string;
    purl: string;
    hashes?: Array<{ alg: string; content: string }>;
    licenses: Array<{ expression?: string; license?: { id?: string; name?: string } }>;
  }
  let bill: {
    bomFormat: string;
    specVersion: string;
    metadata: { component: Component };
    components: Component[];
    dependencies: Array<{ ref: string; dependsOn: string[] }>;
  };

  beforeAll(async () => {
    bill = JSON.parse((await release('sbom.mjs')).stdout);
  }, 300_000);

  it('describes each component once, with its address, checksum and licence', () => {
    expect(bill).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.5' });
    const all = [bill.metadata.component, ...bill.components];
    expect(new Set(all.map((each) => each['bom-ref'])).size).toBe(all.length);
    for (const each of all) {
      expect(each).toMatchObject({ type: 'library', name: /./, version: /^\d/, purl: each['bom-ref'] });
      expect(each.purl).toMatch(/^pkg:(npm|cargo|generic)\/[\w.-]+@[\w.%-]+$/);
      const [license] = each.licenses;
      expect(license?.expression ?? license?.license?.id ?? license?.license?.name).toMatch(/\w/);
    }
    for (const { purl, hashes } of bill.components.filter(({ purl }) => !purl.startsWith('pkg:generic'))) {
      expect([purl, hashes?.[0]?.content]).toEqual([purl, expect.stringMatching(/^([0-9a-f]{64}|[0-9a-f]{128})$/)]);
    }
  });

  it('has what THIRD-PARTY has, and SQLite', async () => {
    const text = await read('THIRD-PARTY');
    const terms = new Set(Array.from(text.matchAll(/^- (?:crate|npm): (\S+ \S+)/gm), ([, label]) => label));
    const names = bill.components.map(({ name, version }) => `${name} ${version}`);
    const [sqlite, ...more] = names.filter((name) => !terms.has(name));
    expect([sqlite, more]).toEqual([expect.stringMatching(/^sqlite 3\.\d+\.\d+$/), []]);
    expect(names.length - 1).toBe(terms.size);
  });

  it('says what depends on what, and reaches all of it from the package', () => {
    const edges = new Map(bill.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
    const reached = new Set<string>();
    const visit = (ref: string) => {
      if (reached.has(ref)) return;
      reached.add(ref);
      for (const next of edges.get(ref) ?? expect.fail(`${ref} is not described`)) visit(next);
    };
    visit(bill.metadata.component['bom-ref']);
    expect([...reached].sort()).toEqual(
      [bill.metadata.component, ...bill.components].map((each) => each['bom-ref']).sort(),
    );
  });
});

describe('docs/platforms.md', () => {
  it('names every package with a binary, and every line of Node.js from the oldest on that has long-term support', async () => {
    const text = await read('docs', 'platforms.md');
    for (const platform of await readdir(join(root, 'npm'))) expect(text).toContain(`\`ductape-${platform}\``);
    const { engines } = await readJson('package.json');
    const majors = Array.from(text.matchAll(/^\| (\d+)\.\d+\.\d+ \|.*\| runs \|/gm), ([, major]) => Number(major));
    expect(engines.node).toBe(`>=${majors[0]}`);
    expect(majors).toEqual([20, 22, 24, 26]);
  });
});

describe('the packages', () => {
  it('can be traced to where they were built', async () => {
    const own = await readJson('package.json');
    const platforms = await readdir(join(root, 'npm'));
    expect(platforms).toHaveLength(own.napi.targets.length);
    expect(own.publishConfig).toEqual({ access: 'public', provenance: true });
    for (const platform of platforms) {
      const { repository, publishConfig, license, version, engines } = await readJson('npm', platform, 'package.json');
      expect({ repository, publishConfig, license, version, engines }).toEqual({
        repository: own.repository,
        publishConfig: own.publishConfig,
        license: own.license,
        version: own.version,
        engines: own.engines,
      });
    }
    const workflow = await read('.github/workflows/release.yml');
    expect(workflow).toMatch(/id-token: write/);
    expect(workflow).toMatch(/NPM_CONFIG_PROVENANCE: "true"/);
  });

  it('of platforms hold one binary and the terms, and say where they are for', async () => {
    for (const platform of await readdir(join(root, 'npm'))) {
      const [os, cpu, abi] = platform.split('-');
      const libc = { gnu: ['glibc'], musl: ['musl'] }[abi ?? ''];
      expect(await readJson('npm', platform, 'package.json')).toMatchObject({
        name: `ductape-${platform}`,
        main: `ductape.${platform}.node`,
        files: [`ductape.${platform}.node`, 'THIRD-PARTY'],
        os: [os],
        cpu: [cpu],
        ...(libc && { libc }),
      });
    }
  });
});
