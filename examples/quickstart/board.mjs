// Shows the jobs: a table that is drawn anew in a terminal, one line per event elsewhere.
import { createScreen } from './screen.mjs';

const COLUMNS = [
  { title: 'job', width: 21 },
  { title: 'namespace', width: 16 },
  { title: 'status', width: 9 },
  { title: 'due', width: 7, right: true },
  { title: 'late', width: 6, right: true },
  { title: 'try', width: 3, right: true },
  // The last one takes what is left of the line.
  { title: 'result', width: 40 },
];
const COLOURS = { scheduled: 36, queued: 33, running: 33, completed: 32, failed: 31, cancelled: 35 };
const ENDED = ['completed', 'failed', 'cancelled'];

/** Collects what happens to the jobs and shows it on `stream`. */
export function createBoard(stream) {
  const began = Date.now();
  const rows = new Map();
  const numbers = { runs: 0, attempts: 0, retried: 0, lateness: [] };
  const live = Boolean(stream.isTTY) && process.env.TERM !== 'dumb';
  const screen = live ? createScreen(stream) : undefined;
  const paint = live && !process.env.NO_COLOR ? (code, text) => `\x1b[${code}m${text}\x1b[0m` : (_code, text) => text;

  const draw = () => screen?.draw([...rows.values()], { header, line });
  const say = (job, text) => {
    if (live) return;
    const seconds = ((Date.now() - began) / 1000).toFixed(3);
    stream.write(`${seconds} s  ${job.namespace} ${rows.get(job.id)?.name ?? job.id}: ${text}\n`);
  };

  function header(width) {
    return paint(
      2,
      cells(
        COLUMNS.map((column) => column.title),
        width,
      ).join(' '),
    );
  }

  function line(row, width) {
    const status = row.status ?? 'queued';
    const texts = [row.name, row.namespace, status, due(row), late(row), row.attempt || '', row.note ?? ''];
    const painted = cells(texts.map(String), width);
    if (painted[2]) painted[2] = paint(COLOURS[status] ?? 0, painted[2]);
    return painted.join(' ');
  }

  /** The texts, padded and clipped to their columns and to the width of the line. */
  function cells(texts, width) {
    let free = width;
    const fitted = [];
    for (const [index, { width: wanted, right }] of COLUMNS.entries()) {
      if (free <= 0) break;
      const size = Math.min(wanted, free);
      const text = clip(texts[index], size);
      fitted.push(right ? text.padStart(size) : text.padEnd(size));
      free -= size + 1;
    }
    return fitted;
  }

  function due(row) {
    if (row.due === undefined) return '';
    const seconds = (row.due - (live ? Date.now() : began)) / 1000;
    if (seconds > 0 && !ENDED.includes(row.status)) return `in ${span(seconds)}`;
    return row.due < began ? 'before' : `${((row.due - began) / 1000).toFixed(1)} s`;
  }

  const late = (row) => (row.lateness === undefined ? '' : `${Math.round(row.lateness)} ms`);

  return {
    numbers,
    title(text) {
      stream.write(`${text}\n\n`);
    },
    add(row) {
      // A job may have started before its dispatch resolved; the order is that of the dispatches.
      const known = rows.get(row.id);
      rows.delete(row.id);
      rows.set(row.id, { ...known, ...row });
    },
    has: (id) => rows.has(id),
    ids: () => [...rows.keys()],
    name: (id) => rows.get(id)?.name ?? id,

    started(job) {
      numbers.attempts += 1;
      numbers.lateness.push(job.lateness);
      Object.assign(entry(job), { status: 'running', lateness: job.lateness, attempt: job.attempt });
      say(job, `run ${job.run}, attempt ${job.attempt} started ${job.lateness} ms after it was due`);
      draw();
    },
    succeeded(job, result) {
      numbers.runs += 1;
      Object.assign(entry(job), { note: result, seen: job.run });
      say(job, `completed with ${JSON.stringify(result)}`);
    },
    failed(job, error) {
      numbers.retried += 1;
      Object.assign(entry(job), { note: error.message });
      say(job, `failed with ${error.code ?? error.name}: ${error.message}`);
    },

    /** Takes the jobs as the store has them. */
    update(jobs) {
      for (const job of jobs) {
        const row = Object.assign(entry(job), { status: job.status, due: job.scheduled_at });
        if (job.status === 'running' && job.progress !== undefined) row.note = job.progress;
      }
      draw();
    },
    /** Whether nothing is to be waited for. */
    settled: () =>
      [...rows.values()].every(
        (row) => row.rests || ENDED.includes(row.status) || (row.once && row.seen && row.status === 'scheduled'),
      ),
    end(jobs) {
      this.update(jobs);
      screen?.end();
    },
  };

  function entry({ id, namespace }) {
    if (!rows.has(id)) rows.set(id, { id, namespace, name: id });
    return rows.get(id);
  }
}

function clip(text, size) {
  const flat = text.replace(/\s+/g, ' ');
  return flat.length > size ? `${flat.slice(0, Math.max(0, size - 1))}…` : flat;
}

/** A length of time in at most four characters. */
function span(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  if (seconds < 100) return `${Math.ceil(seconds)}s`;
  if (seconds < 6_000) return `${Math.round(seconds / 60)}m`;
  return seconds < 360_000 ? `${Math.round(seconds / 3_600)}h` : `${Math.round(seconds / 86_400)}d`;
}
