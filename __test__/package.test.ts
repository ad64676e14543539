// The package as a consumer gets it: packed, installed into an empty folder, loaded there. Needs the built addon.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '..');

let folder: string;
let tarball: string;
let consumer: string;

const npm = (args: string[], cwd: string) =>
  run('npm', [...args, '--ignore-scripts', '--loglevel=error'], { cwd, shell: process.platform === 'win32' });

/** Runs a script in an empty folder of the consumer's; resolves with the JSON that it prints and the files that it made. */
async function evaluate(script: string, source: string): Promise<{ printed: unknown; made: string[] }> {
  const cwd = await mkdtemp(join(consumer, 'run-'));
  await writeFile(join(cwd, script), source);
  const { stdout } = await run(process.execPath, [script], { cwd });
  return { printed: JSON.parse(stdout), made: (await readdir(cwd)).filter((file) => file !== script) };
}

/** Runs a development tool on the tarball; resolves with the problems it reports. */
const complaints = (tool: string, args: string[]) =>
  run(process.execPath, [join(root, 'node_modules', tool), ...args], { cwd: folder }).then(
    () => '',
    (failure: { stdout: string; stderr: string }) => failure.stdout + failure.stderr || 'failed',
  );

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ductape-package-'));
  const { stdout } = await npm(['pack', '--json', '--pack-destination', folder], root);
  // npm prints a list, and newer ones an object with the package's name as its key.
  const [packed] = Object.values(JSON.parse(stdout) as Record<string, { filename: string }>);
  tarball = join(folder, packed?.filename ?? 'nothing was packed');
  consumer = await mkdtemp(join(folder, 'consumer-'));
  await writeFile(join(consumer, 'package.json'), '{ "private": true }');
  await npm(['install', tarball, '--offline', '--no-audit', '--no-fund', '--no-package-lock'], consumer);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('the packed package', () => {
  it('contains exactly the needed files', async () => {
    const files = await readdir(join(consumer, 'node_modules/ductape'), { recursive: true });
    const binaries = files.filter((file) => file.endsWith('.node'));
    expect(binaries.length).toBeGreaterThan(0);
    const others = files.filter((file) => !binaries.includes(file) && !/^docs\b/.test(file));
    // Files of the dashboard are named by their content.
    const names = others.map((file) => file.replaceAll('\\', '/').replace(/-[A-Z0-9]{8}\./, '-HASH.'));
    expect(names.sort()).toEqual([
      'LICENSE',
      'README.md',
      'THIRD-PARTY',
      'index.d.cts',
      'index.d.mts',
      'index.d.ts',
      'index.js',
      'index.mjs',
      'lib',
      'lib/arguments.js',
      'lib/attempts.js',
      'lib/batches.js',
      'lib/bridge.js',
      'lib/call-context.js',
      'lib/channels.js',
      'lib/cli',
      'lib/cli/backup.js',
      'lib/cli/change.js',
      'lib/cli/changes.js',
      'lib/cli/check.js',
      'lib/cli/commands.js',
      'lib/cli/completion.js',
      'lib/cli/confirm.js',
      'lib/cli/dashboard-server.js',
      'lib/cli/dashboard.js',
      'lib/cli/demo-jobs.js',
      'lib/cli/demo.js',
      'lib/cli/diagnosis.js',
      'lib/cli/dispatch.js',
      'lib/cli/doctor.js',
      'lib/cli/exit-codes.js',
      'lib/cli/explain.js',
      'lib/cli/failure.js',
      'lib/cli/filters.js',
      'lib/cli/format.js',
      'lib/cli/get.js',
      'lib/cli/handlers-file.js',
      'lib/cli/health.js',
      'lib/cli/help.js',
      'lib/cli/list.js',
      'lib/cli/logs.js',
      'lib/cli/main.js',
      'lib/cli/metrics-server.js',
      'lib/cli/metrics.js',
      'lib/cli/move.js',
      'lib/cli/names.js',
      'lib/cli/near-name.js',
      'lib/cli/output.js',
      'lib/cli/parse.js',
      'lib/cli/preview.js',
      'lib/cli/processes.js',
      'lib/cli/progress.js',
      'lib/cli/samples.js',
      'lib/cli/schedule-options.js',
      'lib/cli/screen.js',
      'lib/cli/stats.js',
      'lib/cli/store.js',
      'lib/cli/table.js',
      'lib/cli/top.js',
      'lib/cli/values.js',
      'lib/cli/work-watch.js',
      'lib/cli/work.js',
      'lib/dashboard',
      'lib/dashboard/access.js',
      'lib/dashboard/audit.js',
      'lib/dashboard/bulk.js',
      'lib/dashboard/changes.js',
      'lib/dashboard/exchange.js',
      'lib/dashboard/failures.js',
      'lib/dashboard/handler.js',
      'lib/dashboard/job-looks.js',
      'lib/dashboard/job-pages.js',
      'lib/dashboard/live.js',
      'lib/dashboard/options.js',
      'lib/dashboard/overview.js',
      'lib/dashboard/parameters.js',
      'lib/dashboard/problem.js',
      'lib/dashboard/recurring.js',
      'lib/dashboard/redact.js',
      'lib/dashboard/routes.js',
      'lib/dashboard/search.js',
      'lib/dashboard/session.js',
      'lib/dashboard/shared-looks.js',
      'lib/dashboard/static',
      'lib/dashboard/static.js',
      'lib/dashboard/static/assets',
      'lib/dashboard/static/assets/icon-HASH.svg',
      'lib/dashboard/static/assets/icon-HASH.svg.br',
      'lib/dashboard/static/assets/icon-HASH.svg.gz',
      'lib/dashboard/static/assets/main-HASH.css',
      'lib/dashboard/static/assets/main-HASH.css.br',
      'lib/dashboard/static/assets/main-HASH.css.gz',
      'lib/dashboard/static/assets/main-HASH.js',
      'lib/dashboard/static/assets/main-HASH.js.br',
      'lib/dashboard/static/assets/main-HASH.js.gz',
      'lib/dashboard/static/assets/theme-HASH.js',
      'lib/dashboard/static/assets/theme-HASH.js.br',
      'lib/dashboard/static/assets/theme-HASH.js.gz',
      'lib/dashboard/static/index.html',
      'lib/dashboard/static/licenses.txt',
      'lib/dashboard/surroundings.js',
      'lib/dashboard/targets.js',
      'lib/encryption-keys.js',
      'lib/errors.js',
      'lib/event-loop.js',
      'lib/exit.js',
      'lib/handler-target.js',
      'lib/ignored-options.js',
      'lib/job.js',
      'lib/json.js',
      'lib/list-parts.js',
      'lib/listeners.js',
      'lib/logger.js',
      'lib/marks.js',
      'lib/method-names.js',
      'lib/namespaces.js',
      'lib/native.js',
      'lib/open-metrics.js',
      'lib/protocol.js',
      'lib/rates.js',
      'lib/rejections.js',
      'lib/replay-queue.js',
      'lib/signals.js',
      'lib/step-records.js',
      'lib/steps.js',
      'lib/storage.js',
      'lib/targets.js',
      'lib/telemetry.js',
      'lib/text.js',
      'lib/timers.js',
      'lib/wait.js',
      'lib/whole-stores.js',
      'native.d.ts',
      'native.js',
      'package.json',
      'resources.schema.json',
      'types',
      'types/caches.d.ts',
      'types/clock.d.ts',
      'types/dashboard.d.ts',
      'types/dispatches.d.ts',
      'types/errors.d.ts',
      'types/events.d.ts',
      'types/filters.d.ts',
      'types/graphs.d.ts',
      'types/handlers.d.ts',
      'types/inputs.d.ts',
      'types/instance.d.ts',
      'types/job.d.ts',
      'types/jobs.d.ts',
      'types/json.d.ts',
      'types/metrics.d.ts',
      'types/namespaces.d.ts',
      'types/options.d.ts',
      'types/platform.d.ts',
      'types/processes.d.ts',
      'types/resources',
      'types/resources/actions.d.ts',
      'types/resources/brokers.d.ts',
      'types/resources/checks.d.ts',
      'types/resources/databases.d.ts',
      'types/resources/definitions.d.ts',
      'types/resources/features.d.ts',
      'types/resources/notifications.d.ts',
      'types/resources/sessions.d.ts',
      'types/resources/storage.d.ts',
      'types/schedules.d.ts',
      'types/sessions.d.ts',
      'types/stores.d.ts',
    ]);
  });

  it('contains the documents but those on its design', async () => {
    const documents = await readdir(join(root, 'docs'), { recursive: true });
    const wanted = documents.filter((file) => !/^design\b/.test(file));
    expect((await readdir(join(consumer, 'node_modules/ductape/docs'), { recursive: true })).sort()).toEqual(
      wanted.sort(),
    );
    for (const file of wanted) expect(file).toMatch(/^[\w\\/-]+(\.test)?(\.(md|png|svg|yml|json))?$/);
  });

  it('has documents whose links lead somewhere, on npm and in node_modules', async () => {
    const installed = join(consumer, 'node_modules/ductape');
    const documents = (await readdir(join(installed, 'docs'), { recursive: true })).filter((file) =>
      /\.md$/.test(file),
    );
    const dead: string[] = [];
    for (const file of ['README.md', ...documents.map((each) => join('docs', each))]) {
      const written = await readFile(join(installed, file), 'utf8');
      const text = written.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
      for (const [, link = ''] of text.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)) {
        if (/^[a-z]+:/.test(link)) continue;
        const path = join(dirname(file), link);
        // What is for those who work on the package is in the repository alone, against which npm resolves links.
        const internal = /^(docs[\\/]design|examples|[A-Z]+\.md)\b/.test(path);
        if (!existsSync(join(internal ? root : installed, path))) dead.push(`${file}: ${link}`);
      }
    }
    expect(dead).toEqual([]);
    const { repository } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
    expect(repository.url).toMatch(/^git\+https:\/\/github\.com\/[\w-]+\/[\w-]+\.git$/);
  });

  it('has no dependency and no install script', async () => {
    const manifest = JSON.parse(await readFile(join(consumer, 'node_modules/ductape/package.json'), 'utf8'));
    expect(Object.keys(manifest)).not.toContain('dependencies');
    for (const script of ['preinstall', 'install', 'postinstall']) {
      expect(Object.keys(manifest.scripts ?? {})).not.toContain(script);
    }
  });

  it('has the command', async () => {
    const shim = join(consumer, 'node_modules/.bin', process.platform === 'win32' ? 'ductape.cmd' : 'ductape');
    const { stdout } = await run(shim, ['preview', '@daily', '--json'], {
      cwd: consumer,
      shell: process.platform === 'win32',
    });
    expect(JSON.parse(stdout).times).toHaveLength(5);
  });

  it('gives the same classes to import and require, by default and by name', async () => {
    const { printed } = await evaluate(
      'same.mjs',
      `import Default, { Ductape, DuctapeError } from 'ductape';
       import { createRequire } from 'node:module';
       const required = createRequire(import.meta.url)('ductape');
       console.log(JSON.stringify({
         name: Ductape.name,
         importedDefault: Default === Ductape,
         required: required === Ductape && required.Ductape === Ductape,
         requiredDefault: required.default === Ductape,
         error: required.DuctapeError === DuctapeError && new DuctapeError('CLOSED', 'x') instanceof Error,
         compiled: required.__esModule,
       }));`,
    );
    expect(printed).toEqual({
      name: 'Ductape',
      importedDefault: true,
      required: true,
      requiredDefault: true,
      error: true,
      // What compilers look for when they turn a default import into require().
      compiled: true,
    });
  });

  it('loads six small files on import, and the rest with the first instance', async () => {
    const { printed } = await evaluate(
      'loaded.cjs',
      `const loaded = () => Object.keys(require.cache).filter((file) => /node_modules.ductape/.test(file));
       const { Ductape } = require('ductape');
       const imported = loaded().map((file) => require('node:path').basename(file)).sort();
       const ductape = new Ductape({ store: 'memory:', worker: false });
       const rest = loaded().length > 15;
       ductape.close().then(() => console.log(JSON.stringify({ imported, rest })));`,
    );
    expect(printed).toEqual({
      imported: ['errors.js', 'index.js', 'marks.js', 'method-names.js', 'text.js', 'timers.js'],
      rest: true,
    });
  });

  it.each([
    ['require', 'quiet.cjs', "require('ductape')"],
    ['import', 'quiet.mjs', "await import('ductape')"],
  ])('starts no thread and makes no file on %s', async (_how, script, load) => {
    // Loading an ES module reads files on libuv's own pool, so that pool is started before the count.
    const { printed: threads, made } = await evaluate(
      script,
      `(async () => {
         const fs = await import('node:fs');
         await fs.promises.stat('.');
         const count = () => (process.platform === 'linux' ? fs.readdirSync('/proc/self/task').length : 0);
         const before = count();
         ${load};
         // Deferred work of the package would begin now.
         for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
         console.log(JSON.stringify(count() - before));
       })();`,
    );
    expect(threads).toBe(0);
    expect(made).toEqual([]);
  });

  it('passes publint', async () => {
    expect(await complaints('publint/src/cli.js', ['run', tarball, '--strict'])).toBe('');
  });

  it('resolves to the right types under every module resolution', async () => {
    expect(await complaints('@arethetypeswrong/cli/dist/index.js', [tarball, '--no-emoji', '--no-color'])).toBe('');
  });
});
