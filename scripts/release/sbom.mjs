// Prints the bill of materials of the package and its binaries, as CycloneDX JSON: what `npm sbom` says of the npm packages that
// are bundled, the crates that are linked, and SQLite. It is the same each time, so it has no time and no serial number.
// Usage: node scripts/release/sbom.mjs > sbom.cdx.json
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { bundledPackages, labelOf, linkedCrates, readManifest, root } from './crates.mjs';

/** The form that is asked of npm and made here. */
const SPECIFICATION = '1.5';

/** What `npm sbom` says. Its name of the package is that of the folder. */
async function npmBill() {
  const args = ['sbom', '--sbom-format=cyclonedx', '--package-lock-only'];
  const options = { cwd: root, maxBuffer: 2 ** 27, shell: process.platform === 'win32' };
  const { stdout } = await promisify(execFile)('npm', args, options);
  const bill = JSON.parse(stdout);
  if (bill.specVersion !== SPECIFICATION)
    throw new Error(`npm makes CycloneDX ${bill.specVersion}, not ${SPECIFICATION}`);
  return bill;
}

const fromNpm = ({ name, version, purl, hashes, licenses }) => ({
  type: 'library',
  'bom-ref': purl,
  name,
  version,
  scope: 'required',
  purl,
  hashes,
  licenses,
});

const crateUrl = ({ name, version }) => `pkg:cargo/${name}@${encodeURIComponent(version)}`;

const fromCargo = (crate) => ({
  type: 'library',
  'bom-ref': crateUrl(crate),
  name: crate.name,
  version: crate.version,
  scope: 'required',
  purl: crateUrl(crate),
  hashes: [{ alg: 'SHA-256', content: crate.checksum }],
  licenses: [{ expression: crate.license }],
  ...(crate.repository && { externalReferences: [{ type: 'vcs', url: crate.repository }] }),
});

/** Crates name no version of the C library that they bring, and advisories go by it. */
async function sqlite(crate) {
  const header = await readFile(join(crate.folder, 'sqlite3', 'sqlite3.h'), 'utf8');
  const [, version] = /^#define SQLITE_VERSION\s+"([\d.]+)"/m.exec(header);
  return {
    type: 'library',
    'bom-ref': `pkg:generic/sqlite@${version}`,
    name: 'sqlite',
    version,
    scope: 'required',
    purl: `pkg:generic/sqlite@${version}`,
    cpe: `cpe:2.3:a:sqlite:sqlite:${version}:*:*:*:*:*:*:*`,
    licenses: [{ license: { name: 'public domain' } }],
  };
}

async function make() {
  const [bill, bundled, { crates, direct }, manifest] = await Promise.all([
    npmBill(),
    bundledPackages(),
    linkedCrates(),
    readManifest(),
  ]);
  const bundledLabels = bundled.map(labelOf);
  const packages = bill.components.filter((each) => bundledLabels.includes(labelOf(each))).map(fromNpm);
  if (packages.length < bundled.length) throw new Error('npm does not know all packages that are bundled; run npm ci');
  const urls = new Map(crates.map((crate) => [labelOf(crate), crateUrl(crate)]));
  const refs = (labels) => labels.map((label) => urls.get(label));
  const sqliteCrate = crates.find(({ name }) => name === 'libsqlite3-sys');
  const database = await sqlite(sqliteCrate);
  const purl = `pkg:npm/${manifest.name}@${manifest.version}`;
  return {
    $schema: `http://cyclonedx.org/schema/bom-${SPECIFICATION}.schema.json`,
    bomFormat: 'CycloneDX',
    specVersion: SPECIFICATION,
    version: 1,
    metadata: {
      component: {
        type: 'library',
        'bom-ref': purl,
        name: manifest.name,
        version: manifest.version,
        description: manifest.description,
        purl,
        licenses: [{ license: { id: manifest.license } }],
        externalReferences: [{ type: 'vcs', url: manifest.repository.url }],
      },
    },
    components: [...packages, ...crates.map(fromCargo), database],
    dependencies: [
      { ref: purl, dependsOn: [...packages.map((each) => each.purl), ...refs(direct)] },
      ...packages.map((each) => ({ ref: each.purl, dependsOn: [] })),
      ...crates.map((crate) => ({
        ref: crateUrl(crate),
        dependsOn: [...refs(crate.dependsOn), ...(crate === sqliteCrate ? [database.purl] : [])],
      })),
      { ref: database.purl, dependsOn: [] },
    ],
  };
}

console.log(JSON.stringify(await make(), null, 2));
