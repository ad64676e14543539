// What the run came to, and what to try next.
import { stat } from 'node:fs/promises';
import { relative } from 'node:path';

/** Prints it. */
export async function printSummary({ jobs, board, took, interrupted, file, files }) {
  const { runs, attempts, retried, lateness } = board.numbers;
  const late = lateness.toSorted((a, b) => a - b);
  const waiting = jobs.filter((job) => !['completed', 'failed', 'cancelled'].includes(job.status));
  const size = (await stat(file)).size;
  const print = (text = '') => console.log(text);

  print();
  print(`${runs} runs in ${(took / 1000).toFixed(1)} s: ${attempts} attempts, ${retried} of them failed and retried.`);
  if (late.length > 0) print(`Lateness: ${late[late.length >> 1]} ms in the median, ${late.at(-1)} ms at most.`);
  if (waiting.length > 0) print(interrupted ? 'Interrupted; these jobs wait in the store:' : 'Still scheduled:');
  for (const job of waiting) print(`  ${board.name(job.id).padEnd(22)}${when(job)}`);
  print(`The store:      ${relative('', file)} (${Math.ceil(size / 1024)} KiB)`);
  print(`Handlers wrote: ${relative('', files)}/`);
  print();
  print('Try next:');
  print('  npm start                     it finds these jobs; recurring ones stay one');
  print('  Ctrl-C halfway, npm start     the second run finishes what the first left');
  print('  examples/quickstart/jobs.mjs  change a schedule; docs/schedules.md has all options');
}

function when(job) {
  if (!job.recurring || job.next_run_at === undefined) return `due ${new Date(job.scheduled_at).toISOString()}`;
  const zone = job.tz ?? 'UTC';
  const style = { timeZone: zone, month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hour12: false };
  const at = new Date(job.next_run_at).toLocaleString('en-GB', style);
  return `next at ${at} ${zone} (${job.cron ?? `every ${job.every / 1000} s`})`;
}
