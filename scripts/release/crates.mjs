// The crates whose code is in the binaries: those of all platforms that have one, without what only builds or tests.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const root = join(import.meta.dirname, '..', '..');

const cargo = async (args) =>
  (await run('cargo', args, { cwd: root, maxBuffer: 2 ** 27, env: { ...process.env, CARGO_TERM_COLOR: 'never' } }))
    .stdout;

export const readManifest = async () => JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));

/** `name version` of each crate that is linked on a target. */
async function linkedOn(target) {
  // Procedural macros run in the compiler. `cargo metadata` knows neither them nor which features a test alone asks for.
  const args = ['tree', '--locked', '--target', target, '--edges', 'normal,no-proc-macro', '--prefix', 'none'];
  const lines = (await cargo([...args, '--format', '{p}'])).split('\n').filter(Boolean);
  return lines.map((line) => line.split(' ')).map(([name, version]) => `${name} ${version.slice(1)}`);
}

/** Checksums by `name version`, as Cargo.lock has them. */
async function checksums() {
  const lock = await readFile(join(root, 'Cargo.lock'), 'utf8');
  const packages = lock.matchAll(
    /\[\[package\]\]\nname = "(.+)"\nversion = "(.+)"\n(?:source = .*\n)?(?:checksum = "(.+)")?/g,
  );
  return new Map(Array.from(packages, ([, name, version, checksum]) => [`${name} ${version}`, checksum]));
}

/** By name and version, with the folder of each crate's source; `dependsOn` names crates as `name version`. */
export async function linkedCrates() {
  const { targets } = (await readManifest()).napi;
  const linked = new Set((await Promise.all(targets.map(linkedOn))).flat());
  const metadata = JSON.parse(await cargo(['metadata', '--locked', '--format-version', '1']));
  const labels = new Map(metadata.packages.map(({ id, name, version }) => [id, `${name} ${version}`]));
  const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));
  const sums = await checksums();
  const isLinked = ({ dep_kinds }) => dep_kinds.some(({ kind }) => kind === null);
  const crates = metadata.packages
    .filter(({ id }) => linked.has(labels.get(id)) && id !== metadata.resolve.root)
    .map(({ id, name, version, license, license_file, authors, repository, manifest_path }) => ({
      name,
      version,
      license: license?.replaceAll(/\s*\/\s*/g, ' OR '),
      licenseFile: license_file,
      authors,
      repository,
      folder: dirname(manifest_path),
      checksum: sums.get(`${name} ${version}`),
      dependsOn: dependencies(nodes.get(id)),
    }));
  return { crates: crates.sort(byLabel), direct: dependencies(nodes.get(metadata.resolve.root)) };

  function dependencies({ deps }) {
    const names = deps.filter(isLinked).map(({ pkg }) => labels.get(pkg));
    return [...new Set(names)].filter((label) => linked.has(label)).sort();
  }
}

export const labelOf = ({ name, version }) => `${name} ${version}`;

/** The same order on every machine. */
function byLabel(one, other) {
  const [left, right] = [labelOf(one), labelOf(other)];
  return left < right ? -1 : Number(left > right);
}

/** The npm packages whose code `npm run build:dashboard` puts into the package: `{ name, version, text }`. */
export async function bundledPackages() {
  const path = join('lib', 'dashboard', 'static', 'licenses.txt');
  const texts = await readFile(join(root, path), 'utf8').catch((error) => {
    throw new Error(`cannot read ${path}; make it: npm run build:dashboard`, { cause: error });
  });
  return texts.split(/^-{80}$/m).map((section) => {
    const [, name, version, text] = /^(\S+) (\S+)\n\n([\s\S]+)$/.exec(section.trim());
    return { name, version, text };
  });
}
