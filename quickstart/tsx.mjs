#!/usr/bin/env node
// Stands in for `tsx` where nothing can be installed: Node runs the arguments, and esbuild takes the types away.
import { spawn } from 'node:child_process';

const hook = `
  import { readFileSync } from 'node:fs';
  import { createRequire } from 'node:module';
  const { transformSync } = createRequire(process.env.QUICKSTART_TOOLS)('esbuild');
  export const load = (url, context, next) =>
    url.endsWith('.ts')
      ? { format: 'module', shortCircuit: true, source: transformSync(readFileSync(new URL(url), 'utf8'), { loader: 'ts' }).code }
      : next(url, context);
`;
const data = (source) => `data:text/javascript,${encodeURIComponent(source)}`;
const register = data(`import { register } from 'node:module'; register(${JSON.stringify(data(hook))});`);
const child = spawn(process.execPath, ['--import', register, ...process.argv.slice(2)], { stdio: 'inherit' });
// A terminal sends signals to both.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {});
child.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143);
});
