// Programs as the first process (PID 1) of process numbers of their own, as in a container.
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Program, ProgramOptions } from './processes.js';
import { node } from './processes.js';

/** Whether this machine lets the test make process numbers of their own: on Linux, for root. */
export const hasOwnProcessNumbers =
  process.platform === 'linux' && spawnSync('unshare', ['--pid', '--fork', 'true']).status === 0;

/** Starts Node with `args` as process 1; `process` is the one around it, which ends as it does. */
export function inOwnProcessNumbers(args: string[], options: ProgramOptions): Program {
  const command = ['--pid', '--fork', '--kill-child', process.execPath, ...args];
  const source = `
    const { spawn } = require('node:child_process');
    spawn('unshare', ${JSON.stringify(command)}, { stdio: 'inherit' }).once('close', (code) => process.exit(code ?? 99));
  `;
  return node(['--eval', source], options);
}

/** Numbers of the processes below the one that {@link inOwnProcessNumbers} has started: Node, seen from outside. */
export async function childrenOf(pid: number | undefined): Promise<number[]> {
  const [unshare] = await childNumbers(pid);
  return childNumbers(unshare);
}

async function childNumbers(pid: number | undefined): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(' ').filter(Boolean).map(Number);
}
