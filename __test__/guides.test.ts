// The programs of docs/guides are type-checked and run. Those of docs/guides/next.md, nestjs.md and bundlers.md need packages that the
// clone does not have: habitats build and run them (npm run test:long -- habitats).
import { execFile, spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { folderWith, freePort, root, shownFile, shownFiles, written } from './support/guides.js';
import { create, eventually } from './support/instances.js';
import { node } from './support/processes.js';
import { sharedStores } from './support/stores.js';

const run = promisify(execFile);

/** Pages whose programs only habitats can run. */
const ELSEWHERE = ['bundlers.md', 'nestjs.md', 'next.md'];
const pages = (await readdir(join(root, 'docs/guides'))).filter((name) => !ELSEWHERE.includes(name)).sort();
const files = (await Promise.all(pages.map(shownFiles))).flat();

describe('the guides', () => {
  it('are all there', () => {
    expect(pages).toEqual(['containers.md', 'express.md', 'pm2-systemd.md', 'serverless.md', 'test-runners.md']);
    expect(files.length).toBeGreaterThanOrEqual(10);
  });

  it('show programs that habitats run', async () => {
    const habitats = await Promise.all(
      ['bundlers.mjs', 'frameworks.mjs'].map((name) => readFile(join(root, 'habitats', name), 'utf8')),
    );
    for (const { name, page, runs } of (await Promise.all(ELSEWHERE.map(shownFiles))).flat()) {
      if (/^block-/.test(name)) expect([page, name, runs]).toEqual([page, name, false]);
      else expect(habitats.join('\n')).toContain(`'${name}'`);
    }
  });

  it('have tables of what was tried, in the versions that are pinned', async () => {
    type Habitat = { name: string; uses?: string };
    const habitats = async (file: string) =>
      Object.values(await import(join(root, 'habitats', file))).flat() as Habitat[];
    const lock = JSON.parse(await readFile(join(root, 'habitats/package-lock.json'), 'utf8'));
    const tables = {
      'bundlers.md': [...(await habitats('bundlers.mjs')), ...(await habitats('frameworks.mjs'))],
      'test-runners.md': await habitats('test-runners.mjs'),
    };
    for (const [page, tried] of Object.entries(tables)) {
      const text = await readFile(join(root, 'docs/guides', page), 'utf8');
      for (const { name, uses } of tried) {
        const version = uses === undefined ? '' : `${lock.packages[`node_modules/${uses}`].version} |`;
        expect(text, 'node habitats/run.mjs --publish').toContain(`| ${name} | ${version}`);
      }
      expect(text).not.toContain('FAILED');
    }
  });

  it('type-check', { timeout: 120_000 }, async () => {
    const folder = await folderWith(['express', 'fastify']);
    await mkdir(join(folder, 'node_modules/@types'));
    for (const name of ['express', 'node']) {
      await symlink(join(root, 'node_modules/@types', name), join(folder, 'node_modules/@types', name), 'junction');
    }
    for (const { page, name, code } of files) {
      const file = join(folder, page.replace('.md', ''), name);
      await mkdir(join(file, '..'), { recursive: true });
      await writeFile(file, code);
    }
    const compilerOptions = {
      module: 'NodeNext',
      target: 'ES2022',
      lib: ['ES2022'],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      allowJs: true,
      noEmit: true,
      skipLibCheck: true,
      types: ['node'],
    };
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, exclude: ['node_modules'] }));
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const complaints = await run(process.execPath, [compiler, '--project', folder, '--pretty', 'false']).then(
      () => '',
      (failure: { stdout: string; stderr: string }) => failure.stdout + failure.stderr,
    );
    expect(complaints).toBe('');
  });

  it.each(files.filter((file) => file.runs))('run: $page, $name', async (file) => {
    const folder = await folderWith();
    const { stderr } = await run(process.execPath, [await written(file, folder)], { cwd: folder, timeout: 30_000 });
    expect(stderr).toBe('');
  });
});

/** Has a server confirm an order by a job. */
async function confirmsOrder(url: string, order: string) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${url}/api/orders`, { method: 'POST', headers, body: JSON.stringify({ order }) });
  expect(answer.status).toBe(202);
  const { job_id } = (await answer.json()) as { job_id: string };
  await eventually(async () => {
    const look = await fetch(`${url}/api/orders?job=${job_id}`);
    expect(await look.json()).toEqual({ status: 'completed', result: { confirmed: order } });
  });
}

describe('a server with jobs', () => {
  it.each(['express-server.ts', 'fastify-server.ts'])('answers, runs jobs and ends: %s', async (name) => {
    const folder = await folderWith(['express', 'fastify']);
    const port = await freePort();
    const file = await written(await shownFile('express.md', name), folder);
    const server = node([file], {
      cwd: folder,
      env: { PORT: String(port), DUCTAPE_STORE: `sqlite:${folder}/jobs.db` },
    });
    const url = `http://127.0.0.1:${port}`;
    await eventually(() => fetch(url), 30_000);
    // Text of users is no expression.
    await confirmsOrder(url, '$Now()');
    if (name.startsWith('express')) {
      expect((await fetch(`${url}/api/orders?job=none`)).status).toBe(404);
    }
    server.process.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 0, signal: null });
    expect(server.stderr()).toBe('');
  });
});

describe('functions', () => {
  describe.each(sharedStores)('of Lambda, on $kind', ({ unavailable, make }) => {
    it.skipIf(unavailable)('dispatch, and run what is due when a timer calls', async () => {
      const folder = await folderWith();
      const store = await make();
      for (const name of ['api.ts', 'tick.ts']) await written(await shownFile('serverless.md', name), folder);
      const script = `
      const api = await import('${pathToFileURL(join(folder, 'api.mjs'))}');
      const { statusCode, body } = await api.handler({ body: '{"order":"A1"}' });
      const tick = await import('${pathToFileURL(join(folder, 'tick.mjs'))}');
      const context = { getRemainingTimeInMillis: () => 30_000 };
      const drained = [await tick.handler({}, context), await tick.handler({}, context)];
      console.log('answer', JSON.stringify({ statusCode, ...JSON.parse(body), drained }));
    `;
      const lambda = node(['--input-type=module', '--eval', script], {
        env: { DUCTAPE_STORE: store, AWS_LAMBDA_FUNCTION_NAME: 'orders', AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x' },
      });
      const { statusCode, job_id, drained } = JSON.parse(await lambda.waitForLine('answer'));
      expect(await lambda.ended).toMatchObject({ code: 0, signal: null });
      expect([statusCode, drained]).toEqual([
        202,
        [
          expect.objectContaining({ completed: 1, remaining: 0 }),
          expect.objectContaining({ completed: 0, remaining: 0 }),
        ],
      ]);
      expect((await create({ store }).jobs.get(job_id)).result).toEqual({ confirmed: 'A1' });
    });
  });

  it('of Vercel run what is due when the timer calls, and nobody else', async () => {
    const folder = await folderWith();
    const file = await written(await shownFile('serverless.md', 'app/api/tick/route.ts'), folder);
    const store = `sqlite:${join(folder, 'jobs.db')}`;
    const web = create({ store, product: 'shop', env: 'prd', worker: false });
    const { job_id } = await web.features.dispatch({ tag: 'confirm-order', input: { order: 'A1' } });
    const script = `
      const { GET } = await import('${pathToFileURL(file)}');
      const call = (headers) => GET(new Request('https://shop.example/api/tick', { headers }));
      const refused = (await call({ authorization: 'Bearer no' })).status;
      const { completed } = await (await call({ authorization: 'Bearer secret' })).json();
      console.log('answer', JSON.stringify({ refused, completed }));
    `;
    const vercel = node(['--input-type=module', '--eval', script], {
      env: { DUCTAPE_STORE: store, CRON_SECRET: 'secret', VERCEL: '1' },
    });
    expect(JSON.parse(await vercel.waitForLine('answer'))).toEqual({ refused: 401, completed: 1 });
    expect(await vercel.ended).toMatchObject({ code: 0, signal: null });
    expect((await web.jobs.get(job_id)).status).toBe('completed');
  });
});

describe('the unit for systemd', () => {
  const isThere = spawnSync('systemd-analyze', ['--version']).status === 0;
  it.skipIf(!isThere)('is one that systemd takes', async () => {
    const text = await readFile(join(root, 'docs/guides/pm2-systemd.md'), 'utf8');
    const [, unit = ''] = /^```ini\n(.*?)^```$/ms.exec(text) ?? [];
    expect(unit).toContain('/usr/bin/node');
    const file = join(await folderWith(), 'jobs.service');
    // It looks whether the program is there.
    await writeFile(file, unit.replace('/usr/bin/node', process.execPath));
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
    expect([status, stdout, stderr]).toEqual([0, '', '']);
  });
});

describe('the tests that the guide shows', () => {
  it('pass under node:test', async () => {
    const folder = await folderWith();
    const file = await written(await shownFile('test-runners.md', 'orders.test.ts'), folder);
    // This file may itself run below a test runner, whose variables mean nothing to that one.
    const { stdout } = await run(process.execPath, ['--test', '--test-reporter=tap', file], {
      cwd: folder,
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined },
    });
    expect(stdout).toMatch(/^# pass 2$/m);
    expect(stdout).toMatch(/^# fail 0$/m);
  });
});
