// One round: four processes and one that is told what to do share a store, while the plan happens to them and to the clock.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { examine, readLog } from './account.mjs';
import { ACTIVE_MS, WORKERS } from './plan.mjs';
import { Timeline } from './timeline.mjs';

const MINUTE = 60_000;
/** ms without progress after which a round has failed in which something is still to be done. */
const REST_MS = 90_000;
/** ms that a process has to close. */
const CLOSE_MS = 20_000;
/** A series that has fallen behind by more than this, ms, is not at rest. */
const REST_LAG_MS = 1_000;
/** ms for which everything goes on undisturbed in the end. */
const UNDISTURBED_MS = 1_500;

/** A pause of this process of so many ms is worth a note. */
const STALL_MS = 120;

/** What a server says that, its clock set, takes a statement for one that has lasted, or waited, too long. */
const TIMED_OUT = ['57014', '55P03'];
const MOST_TRIES = 5;
/** Where a round leaves what it did and what it was told, besides its log. */
const TOLD = 'told.json';

const now = () => Number(process.hrtime.bigint() / 1_000n) / 1_000;

export class Round {
  #plan;
  #place;
  #log;
  #logFile;
  #timeline;
  #workers = [];
  #operator;
  #started = 0;
  #asked = 0;
  #waiting = new Map();
  #series = new Map();
  #violations = [];
  /** What happens to the clock happens one after the other. */
  #clock = Promise.resolve();

  /** `place`: `{ folder, store, lag, environment(number), setClock(offset) }`, see `places.mjs`. */
  constructor(plan, place) {
    [this.#plan, this.#place] = [plan, place];
    this.#log = join(place.folder, 'log');
  }

  /** Resolves with what is wrong. */
  async run() {
    this.#logFile = openSync(this.#log, 'a');
    const watching = this.#watchMachine();
    try {
      this.#begin(this.#plan.start);
      this.#operator = await this.#start(WORKERS, false);
      this.#workers = await Promise.all(Array.from({ length: WORKERS }, (_, number) => this.#start(number, true)));
      await Promise.all(this.#plan.series.map((series) => this.#dispatch(series)));
      await this.#happen();
      const end = await this.#comeToRest();
      const told = { series: [...this.#series.values()], timeline: this.#timeline, end, violations: this.#violations };
      await writeFile(join(this.#place.folder, TOLD), JSON.stringify(told));
      return await examineAgain(this.#place.folder);
    } finally {
      clearInterval(watching);
      for (const { process } of [...this.#workers, this.#operator]) process?.kill('SIGKILL');
      closeSync(this.#logFile);
    }
  }

  #note(...words) {
    writeSync(this.#logFile, `${Math.round(now() * 1_000)} round ${words.join(' ')}\n`);
  }

  /** Notes when the machine had no time for this process, and so perhaps for none. */
  #watchMachine() {
    let last = now();
    return setInterval(() => {
      const at = now();
      if (at - last > STALL_MS) this.#note('stalled', Math.round(last * 1_000));
      last = at;
    }, STALL_MS / 4);
  }

  #begin(wall) {
    this.#place.setClock(Math.round(wall - Date.now()));
    const at = now();
    this.#timeline = new Timeline(at, wall, this.#place.lag);
    this.#note('clock', wall);
  }

  #step(wall) {
    const at = now();
    const target = Math.round(wall);
    this.#place.setClock(Math.round(target - Date.now()));
    this.#timeline.step(at, target);
    this.#note('clock', target, new Date(target).toISOString());
  }

  async #start(number, works) {
    const name = works ? `worker-${number}.${++this.#started}` : 'operator';
    const settings = { store: this.#place.store, log: this.#log, name, works };
    const child = spawn(process.execPath, [join(import.meta.dirname, 'program.mjs'), JSON.stringify(settings)], {
      env: { ...process.env, ...this.#place.environment(number) },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const entry = { name, process: child, killed: false, ended: once(child, 'exit') };
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      errors += text;
    });
    child.stdin.on('error', () => {});
    entry.ended.then(([code, signal]) => {
      if (!entry.killed && code !== 0)
        this.#violations.push(`${name} ended: ${code ?? signal}: ${errors.slice(0, 2_000)}`);
    });
    this.#note('started', name);
    entry.ready = new Promise((resolve) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line === 'ready') resolve();
        else this.#answered(JSON.parse(line));
      });
    });
    await Promise.race([entry.ready, entry.ended]);
    return entry;
  }

  #answered(answer) {
    this.#waiting.get(answer.number)(answer);
    this.#waiting.delete(answer.number);
  }

  /** Resolves with `{ first, last, value }`: the numbers of the first and the last try, by which the log dates them. */
  async #ask(method, ...words) {
    const first = this.#asked + 1;
    for (let tries = 1; ; tries++) {
      const number = ++this.#asked;
      const answer = new Promise((resolve) => this.#waiting.set(number, resolve));
      this.#note('asks', number, method, JSON.stringify(words));
      this.#operator.process.stdin.write(`${JSON.stringify({ number, method, arguments: words })}\n`);
      const { value, error } = await Promise.race([answer, this.#operator.ended]);
      if (TIMED_OUT.some((code) => error?.includes(code)) && tries < MOST_TRIES) continue;
      if (error) this.#violations.push(`${method} ${words[0]?.job_id ?? words[0]}: ${error}`);
      return { first, last: number, value };
    }
  }

  async #dispatch(series) {
    const entry = { ...series, eras: [], pauses: [], busy: Promise.resolve() };
    this.#series.set(series.id, entry);
    const call = await this.#ask('dispatch', this.#job(series, series.schedule));
    entry.eras.push({ schedule: series.schedule, call });
  }

  #job({ id, input, misfire, ifRunning }, schedule) {
    return {
      tag: 'tick',
      job_id: id,
      input,
      retries: 2,
      retryConfig: { initialDelay: 150 },
      schedule: { ...schedule, misfire, ifRunning },
    };
  }

  async #happen() {
    const began = now();
    const all = this.#plan.events.map(async (event) => {
      await sleep(event.at);
      this.#note('event', JSON.stringify(event));
      await this.#events[event.name](event);
    });
    await Promise.all(all);
    await sleep(Math.max(0, ACTIVE_MS - (now() - began)));
    this.#note('undisturbed');
  }

  /** What happens to one series happens one after the other. */
  #with(number, act) {
    const entry = this.#series.get(this.#plan.series[number].id);
    entry.busy = entry.busy.then(() => act(entry));
    return entry.busy;
  }

  #events = {
    kill: async ({ victim, pause }) => {
      const entry = this.#workers[victim];
      if (entry.killed) return;
      await this.#kill(entry);
      await sleep(pause);
      this.#workers[victim] = await this.#start(victim, true);
    },
    stop: async ({ victim, ms }) => {
      const entry = this.#workers[victim];
      if (entry.killed || entry.stopped) return;
      entry.stopped = true;
      this.#note('stopped', entry.name);
      entry.process.kill('SIGSTOP');
      await sleep(ms);
      entry.process.kill('SIGCONT');
      this.#note('continued', entry.name);
      entry.stopped = false;
    },
    pause: ({ series, ms }) =>
      this.#with(series, async (entry) => {
        const pause = { call: await this.#ask('pause', entry.id) };
        entry.pauses.push(pause);
        await sleep(ms);
        pause.end = await this.#ask('resume', entry.id);
      }),
    reschedule: ({ series, schedule }) =>
      this.#with(series, async (entry) => {
        const { misfire, ifRunning } = entry;
        const call = await this.#ask('reschedule', entry.id, { ...schedule, misfire, ifRunning });
        entry.eras.push({ schedule, call });
      }),
    redispatch: ({ series, schedule, input }) =>
      this.#with(series, async (entry) => {
        entry.input = input;
        const call = await this.#ask('dispatch', this.#job(entry, schedule ?? entry.eras.at(-1).schedule));
        if (schedule) entry.eras.push({ schedule, call });
      }),
    step: ({ by, back, toMinute }) => {
      this.#clock = this.#clock.then(async () => {
        const wall = this.#timeline.wall(now());
        if (toMinute !== undefined) return this.#step(Math.ceil((wall + toMinute) / MINUTE) * MINUTE - toMinute);
        this.#step(wall + by);
        if (back === undefined) return;
        await sleep(back);
        this.#step(this.#timeline.wall(now()) - by);
      });
      return this.#clock;
    },
  };

  async #kill(entry) {
    entry.killed = true;
    // From now on others may run what it ran.
    this.#note('killed', entry.name);
    entry.process.kill('SIGKILL');
    await entry.ended;
  }

  async #close(entry) {
    entry.process.stdin.end();
    const timer = new AbortController();
    const late = sleep(CLOSE_MS, true, { signal: timer.signal }).catch(() => false);
    if ((await Promise.race([entry.ended, late])) === true) this.#violations.push(`${entry.name} did not close`);
    timer.abort();
    entry.process.kill('SIGKILL');
    // Nothing is begun, and what was begun has ended or is handed back.
    this.#note('killed', entry.name);
  }

  /** All stop, and a last one deals with what is left; resolves with the time when it had. */
  async #comeToRest() {
    await sleep(UNDISTURBED_MS + this.#place.lag);
    await Promise.all(this.#workers.map((entry) => this.#close(entry)));
    this.#workers = [await this.#start(0, true)];
    let [until, behind] = [now() + REST_MS, ''];
    let end;
    for (;;) {
      end = now();
      const { value: jobs } = await this.#ask('list');
      const { value: stats } = await this.#ask('stats');
      for (const job of jobs ?? []) this.#series.get(job.id).record = job;
      const late = (jobs ?? []).filter(({ next_run_at: next }) => next < this.#timeline.wall(end) - REST_LAG_MS);
      if (jobs && stats.queued === 0 && late.length === 0) break;
      // Those that make up for all that was missed in a day go on for a while.
      const progress = late.map(({ id, execution_count: runs }) => `${id}:${runs}`).join();
      if (progress !== behind) until = now() + REST_MS;
      behind = progress;
      if (now() > until) {
        this.#violations.push(
          `not at rest, without progress for ${REST_MS} ms: ${JSON.stringify(stats)}, overdue: ${late.map(({ id }) => id)}`,
        );
        break;
      }
      await sleep(100);
    }
    this.#note('at-rest');
    await this.#close(this.#workers[0]);
    for (const entry of this.#series.values()) {
      entry.history = (await this.#ask('history', entry.id)).value;
      this.#note('history', entry.id, JSON.stringify(entry.history));
    }
    await this.#close(this.#operator);
    return end;
  }
}

/** Puts the times of the log in the place of numbers of calls. */
function date(series, { asked, answered }) {
  for (const { eras, pauses } of series) {
    for (const [index, era] of eras.entries()) {
      [era.asked, era.answered] = [asked.get(era.call.first), answered.get(era.call.last)];
      if (index > 0) eras[index - 1].replaced = era;
    }
    for (const pause of pauses) {
      [pause.asked, pause.answered] = [asked.get(pause.call.first), answered.get(pause.call.last)];
      [pause.resumed, pause.over] = [asked.get(pause.end.first), answered.get(pause.end.last)];
    }
  }
}

/** What is wrong with a round, by what it left in its folder. */
export async function examineAgain(folder) {
  const [log, told] = await Promise.all(['log', TOLD].map((name) => readFile(join(folder, name), 'utf8')));
  const { series, timeline, end, violations } = JSON.parse(told);
  const read = readLog(log);
  date(series, read);
  return [...violations, ...examine(series, read, Timeline.from(timeline), end)];
}
