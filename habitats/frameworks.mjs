// Frameworks: the programs of their guides, built, started, asked for a job and stopped.
import { access, mkdir, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, relative } from 'node:path';
import Ductape from '../index.mjs';
import { shownFile } from './workshop.mjs';

const exists = (file) =>
  access(file).then(
    () => true,
    () => false,
  );

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Waits until `look` gives something that is true, and passes over its errors until then. */
async function until(look, seconds = 120) {
  let reason;
  for (const from = performance.now(); performance.now() - from < seconds * 1000; ) {
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      reason = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('waited in vain', { cause: reason });
}

async function json(url, options) {
  const response = await fetch(url, { signal: AbortSignal.timeout(60_000), ...options });
  return response.json();
}

/** Has the program confirm an order by a job, and waits for the result. */
async function confirmsOrder(url, order) {
  const body = JSON.stringify({ order });
  const headers = { 'content-type': 'application/json' };
  const { job_id } = await until(() => json(`${url}/api/orders`, { method: 'POST', body, headers }));
  const { result } = await until(async () => {
    const answer = await json(`${url}/api/orders?job=${job_id}`);
    return answer.status === 'completed' && answer;
  });
  if (result?.confirmed !== order) throw new Error(`confirmed ${JSON.stringify(result)}, expected ${order}`);
}

/** Workers that are registered in the store: those that have closed are not. */
async function processesOf(store) {
  const ductape = new Ductape({ store, product: 'shop', env: 'prd', worker: false });
  try {
    return await ductape.jobs.processes();
  } finally {
    await ductape.close();
  }
}

const workersOf = async (store) => (await processesOf(store)).filter(({ state }) => state === 'alive').length;

const NEXT_PAGE = 'docs/guides/next.md';
const NEXT_FILES = ['next.config.ts', 'jobs.ts', 'handlers.ts', 'instrumentation.ts', 'app/api/orders/route.ts'];

/** The route of docs/dashboard.md, open to everybody. */
const DASHBOARD_ROUTE = `
import { ductape } from '../../../../jobs';
const dashboard = ductape.dashboard({ basePath: '/admin/jobs', authorize: () => true });
export const dynamic = 'force-dynamic';
export { dashboard as DELETE, dashboard as GET, dashboard as HEAD, dashboard as POST };
`;

async function nextProject(workshop, copy) {
  const files = { 'app/admin/jobs/[[...path]]/route.js': DASHBOARD_ROUTE };
  for (const name of NEXT_FILES) files[name] = await shownFile(NEXT_PAGE, name);
  files['app/layout.tsx'] =
    'export default function Layout({ children }: { children: React.ReactNode }) { return <html lang="en"><body>{children}</body></html>; }\n';
  files['app/page.tsx'] = 'export default function Page() { return <p>Orders</p>; }\n';
  const folder = await workshop.project({ files, own: true });
  // A real copy, since Next loads parts of itself by its name; what it needs in turn is found above.
  await workshop.copyTool(copy, join(folder, 'node_modules/next'));
  return folder;
}

function next(name, copy, { build = [], dev = [], standalone = false, settings }) {
  const attempt = async (workshop) => {
    const folder = await nextProject(workshop, copy);
    if (standalone) {
      const text = await shownFile(NEXT_PAGE, 'next.config.ts');
      await writeFile(
        join(folder, 'next.config.ts'),
        text.replace("['ductape'] }", `['ductape'], ${standaloneConfig(workshop.tools)} }`),
      );
    }
    const bin = join(folder, 'node_modules/next/dist/bin/next');
    const store = `sqlite:${join(folder, 'data/jobs.db')}`;
    const env = { DUCTAPE_STORE: store, NEXT_TELEMETRY_DISABLED: '1' };
    await workshop.node([bin, 'build', ...build], { cwd: folder, env });
    if (await exists(join(folder, 'data'))) throw new Error('the build has opened the store');
    if (standalone) return runsStandalone(workshop, folder, env);
    // By hand: Next leaves signals to the program.
    for (const [mode, own] of [['start'], ['start', { NEXT_MANUAL_SIG_HANDLE: '1' }], ['dev']]) {
      const port = await freePort();
      const args = [bin, mode, ...(mode === 'dev' ? dev : []), '--hostname', '127.0.0.1', '--port', String(port)];
      const server = workshop.start(process.execPath, args, { cwd: folder, env: { ...env, ...own } });
      const url = `http://127.0.0.1:${port}`;
      try {
        await confirmsOrder(url, `${mode}-1`);
        if (mode === 'dev') {
          const route = join(folder, 'app/api/orders/route.ts');
          await writeFile(route, `${await shownFile(NEXT_PAGE, 'app/api/orders/route.ts')}// changed\n`);
          await confirmsOrder(url, 'dev-2');
        }
        const workers = await workersOf(store);
        if (workers !== 1) throw new Error(`${workers} workers with next ${mode}`);
        const page = await fetch(`${url}/admin/jobs`);
        if (page.status !== 200) throw new Error(`the dashboard answers ${page.status}`);
      } catch (error) {
        throw new Error(`${mode}: ${error.message}\n${(await server.stop('SIGKILL')).output}`, { cause: error });
      }
      const { signal, output } = await server.stop();
      if (own && signal !== 'SIGTERM') throw new Error(`the signal did not end it: ${output}`);
      // `next dev` has a process of its own for the server, which ends a little later.
      await until(async () => (await processesOf(store)).length === 0, mode === 'dev' ? 120 : 5);
    }
  };
  return { name, uses: copy, settings, attempt };
}

/** What the page says, and where the root is: what Next needs is installed there. */
const standaloneConfig = (root) =>
  `output: 'standalone', outputFileTracingRoot: '${root}', turbopack: { root: '${root}' },
  outputFileTracingIncludes: { '/**': ['./node_modules/ductape/lib/dashboard/static/**'] }`;

/** The server without what it was built from. */
async function runsStandalone(workshop, folder, env) {
  const alone = await workshop.outside();
  await rename(join(folder, '.next/standalone'), join(alone, 'server'));
  const port = await freePort();
  await mkdir(join(alone, 'data'));
  const own = {
    ...env,
    DUCTAPE_STORE: `sqlite:${join(alone, 'data/jobs.db')}`,
    PORT: String(port),
    HOSTNAME: '127.0.0.1',
  };
  const server = workshop.start(process.execPath, ['server.js'], {
    cwd: join(alone, 'server', relative(workshop.tools, folder)),
    env: own,
  });
  try {
    const url = `http://127.0.0.1:${port}`;
    await confirmsOrder(url, 'standalone');
    const page = await fetch(`${url}/admin/jobs`);
    if (page.status !== 200) throw new Error(`the dashboard answers ${page.status}`);
  } finally {
    await server.stop();
  }
}

const NEST_PAGE = 'docs/guides/nestjs.md';
const NEST_FILES = ['jobs.module.ts', 'orders.jobs.ts', 'orders.controller.ts', 'main.ts'];

const nest = {
  name: 'NestJS, with Express',
  uses: '@nestjs/core',
  attempt: async (workshop) => {
    const compilerOptions = {
      module: 'NodeNext',
      target: 'ES2022',
      strict: true,
      skipLibCheck: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      types: ['node'],
      typeRoots: [workshop.tool('@types')],
      outDir: 'dist',
    };
    const files = { 'tsconfig.json': JSON.stringify({ compilerOptions, include: ['*.ts'] }) };
    for (const name of NEST_FILES) files[name] = await shownFile(NEST_PAGE, name);
    const folder = await workshop.project({ files });
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    await workshop.node([workshop.tool('typescript/bin/tsc')], { cwd: folder });
    const store = `sqlite:${join(folder, 'jobs.db')}`;
    const port = await freePort();
    const env = { DUCTAPE_STORE: store, PORT: String(port) };
    const server = workshop.start(process.execPath, ['dist/main.js'], { cwd: folder, env });
    const url = `http://127.0.0.1:${port}`;
    try {
      await confirmsOrder(url, 'nest');
      const answers = [];
      for (const headers of [{}, { 'x-admin': 'yes' }])
        answers.push((await fetch(`${url}/admin/jobs`, { headers })).status);
      if (answers.join() !== '401,200') throw new Error(`the dashboard answers ${answers}`);
    } catch (error) {
      throw new Error(`${error.message}\n${(await server.stop('SIGKILL')).output}`, { cause: error });
    }
    const { code, signal, output } = await server.stop();
    if (signal !== 'SIGTERM' && code !== 0) throw new Error(`ended with ${code}: ${output}`);
    // It has closed its instance: one that has died stays in the list until its lease has ended.
    if ((await processesOf(store)).length > 0) throw new Error(`it has not closed its instance: ${output}`);
  },
};

const PM2_PAGE = 'docs/guides/pm2-systemd.md';

const pm2 = {
  name: 'PM2',
  uses: 'pm2',
  settings: '`kill_timeout`, `wait_ready`',
  attempt: async (workshop) => {
    const files = { 'dist/worker.mjs': stripTypes(await shownFile(PM2_PAGE, 'worker.ts')) };
    files['ecosystem.config.cjs'] = (await shownFile(PM2_PAGE, 'ecosystem.config.cjs')).replace(
      'worker.js',
      'worker.mjs',
    );
    const folder = await workshop.project({ files });
    const store = `sqlite:${join(folder, 'jobs.db')}`;
    const env = { PM2_HOME: join(folder, 'pm2'), DUCTAPE_STORE: store, PM2_DISABLE_VERSION_CHECK: 'true' };
    const command = (...args) =>
      workshop.node([workshop.tool('pm2/bin/pm2'), ...args], { cwd: folder, env, seconds: 120 });
    try {
      await command('start', 'ecosystem.config.cjs');
      await until(async () => (await workersOf(store)) === 2);
      const ductape = new Ductape({ store, product: 'shop', env: 'prd', worker: false });
      try {
        const { job_id } = await ductape.features.dispatch({ tag: 'confirm-order', input: { order: 'pm2' } });
        const { confirmed } = await ductape.jobs.wait(job_id, { timeout: 60_000 });
        if (confirmed !== 'pm2') throw new Error(`confirmed ${confirmed}`);
      } finally {
        await ductape.close();
      }
      await command('stop', 'jobs');
      if ((await processesOf(store)).length > 0) throw new Error('the workers have not closed their instances');
    } finally {
      await command('kill');
    }
  },
};

/** The program without its types, of which there are arguments of methods alone. */
const stripTypes = (code) => code.replace(/<\{.*?\}>/g, '');

const external = '`serverExternalPackages`';

export const frameworks = [
  nest,
  pm2,
  next('Next 15, build, start and dev', 'next15', { settings: external }),
  next('Next 16, build, start and dev', 'next', { settings: external }),
  next('Next 16 with webpack, build, start and dev', 'next', {
    build: ['--webpack'],
    dev: ['--webpack'],
    settings: external,
  }),
  next('Next 16, standalone output', 'next', {
    standalone: true,
    settings: `${external}; \`outputFileTracingIncludes\` for the dashboard`,
  }),
];
