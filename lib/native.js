'use strict';
// Loads the native class `Ductape`, and says what to do when that fails.

const { readdirSync } = require('node:fs');
const { join } = require('node:path');

/** The packages with a binary are `ductape-` and one of these. */
const PLATFORMS = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm64-gnu',
  'linux-arm64-musl',
  'linux-x64-gnu',
  'linux-x64-musl',
  'win32-x64-msvc',
];

const FROM_SOURCE =
  'build it with Rust in a clone of https://github.com/ductape/ductape (npm ci && npm run build), and install that folder';

/** Loaded by the first instance, so that importing the package does nothing. */
let native;

function loadNative() {
  if (native) return native;
  try {
    native = require('../native.js');
  } catch (cause) {
    throw new Error(explain(cause), { cause });
  }
  return native;
}

/** What the loader says of a file or package that is not there; the last lines are of Yarn's Plug'n'Play and of bundlers. */
const NOT_FOUND = new RegExp(
  [
    '^Cannot find (module|native binding)',
    '^Unsupported (OS|architecture)',
    '^(Qualified path resolution failed|Missing package|Required .* missing from disk)|^\\S+ tried to access',
    '^(Dynamic require of|Could not dynamically require)',
  ].join('|'),
);

/** What is wrong, and what a user of the package can do about it. */
function explain(cause) {
  // The loader keeps the messages of what it tried, and not the codes.
  const messages = [];
  for (let each = cause; each instanceof Error; each = each.cause) messages.push(each.message);
  const failure = messages.find((message) => !NOT_FOUND.test(message));
  if (failure === undefined) return explainMissing();
  if (/loading addons is disabled/.test(failure)) return explainDisabled();
  if (/^Access to this API has been restricted/.test(failure)) {
    return 'ductape may not read the package with its binary: start Node.js with --allow-fs-read for all of node_modules';
  }
  return explainBroken(failure);
}

function explainDisabled() {
  return process.permission === undefined
    ? 'ductape is a native addon, and Node.js was told to load none: start it without --no-addons'
    : 'ductape is a native addon, which the permission model of Node.js forbids: start Node.js with --allow-addons, beside ' +
        '--allow-fs-read for the program and node_modules';
}

function explainBroken(message) {
  const reason = message.split('\n', 1)[0];
  const remedy = /GLIBC_/.test(reason)
    ? 'this Linux is older than what it was built for: use a newer one, such as a newer image of the container'
    : 'it may be damaged, or node_modules was copied from another platform: remove node_modules and install on this one';
  return `ductape cannot load its binary for ${describePlatform()}: ${reason}; ${remedy}`;
}

function explainMissing() {
  const name = platformName();
  if (!PLATFORMS.includes(name)) {
    return `ductape has no binary for ${describePlatform()}, only for ${PLATFORMS.join(', ')}: ${FROM_SOURCE}`;
  }
  const remedies = [
    'if the installation left out optional dependencies: npm install --include=optional',
    'if package-lock.json was made on another platform: remove it and node_modules, and install again',
    'pnpm and Yarn that install for another platform: name it under supportedArchitectures',
    'if the program is bundled: mark ductape as external and ship node_modules/ductape and node_modules/ductape-*',
    `where nothing else helps: ${FROM_SOURCE}`,
  ];
  const bundled = typeof __filename === 'undefined' || !/[\\/]lib[\\/]native\.js$/.test(__filename);
  // Where the package is not bundled, those of platforms lie beside it.
  const others = bundled ? [] : installedPlatforms();
  if (others.length > 0) {
    const found = others.map((other) => `ductape-${other}`).join(', ');
    remedies.unshift(`node_modules is of another platform (it has ${found}): install where the program runs`);
  }
  // The remedy for a bundle is the one that helps there.
  if (bundled) remedies.unshift(...remedies.splice(3, 1));
  return (
    `ductape has no binary for ${describePlatform()} here: the package ductape-${name}, an optional dependency, is not ` +
    `installed\n${remedies.map((remedy) => `  - ${remedy}`).join('\n')}`
  );
}

function platformName() {
  const { platform, arch } = process;
  if (platform === 'linux') return `linux-${arch}-${libc() === 'musl' ? 'musl' : 'gnu'}`;
  return platform === 'win32' ? `win32-${arch}-msvc` : `${platform}-${arch}`;
}

function describePlatform() {
  const { platform, arch } = process;
  return platform === 'linux' ? `linux ${arch} (${libc()})` : `${platform} ${arch}`;
}

/** The C library of this Linux, and of glibc the version, where the runtime tells of it. */
function libc() {
  const { report } = process;
  // Not every runtime that loads addons has reports.
  if (!report?.getReport) return 'glibc';
  const before = report.excludeNetwork;
  // Names of the hosts that the process is connected to are looked up otherwise.
  report.excludeNetwork = true;
  try {
    const version = report.getReport().header.glibcVersionRuntime;
    return version ? `glibc ${version}` : 'musl';
  } finally {
    report.excludeNetwork = before;
  }
}

function installedPlatforms() {
  try {
    const beside = readdirSync(join(__dirname, '..', '..'));
    return PLATFORMS.filter((name) => beside.includes(`ductape-${name}`));
  } catch {
    return [];
  }
}

module.exports = { loadNative, PLATFORMS };
