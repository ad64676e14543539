// One round: processes work on a store while its plan happens, then everything is healed, and what is left is examined.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Ductape from '../index.mjs';
import { Account, examine } from './account.mjs';
import { limitDescriptors } from './disk.mjs';

/** ms after which a healed round in which something is still to be done has failed. */
const REST_MS = 60_000;
/** ms after which a round has failed, whatever it waits for. */
const ROUND_MS = 180_000;
/** ms that a process has to close: its handlers have 8 s, and the store 5 s. */
const CLOSE_MS = 20_000;
/** What a process ends with that could not open its store; as under any supervisor it is started again. */
const TRY_AGAIN = 75;
const TRY_AGAIN_MS = 200;
/** Recurring jobs of a round: every so many ms. */
const SERIES = [50, 130, 400];
/** What each process does. */
const ROLES = [
  { works: true, dispatches: false },
  { works: true, dispatches: true },
  { works: false, dispatches: true },
];

const now = () => process.hrtime.bigint() / 1000n;

const LATE = Symbol('late');

/** What `promise` resolves with, or `LATE` after `ms`. */
async function within(ms, promise) {
  const timer = new AbortController();
  try {
    return await Promise.race([promise, sleep(ms, LATE, { signal: timer.signal })]);
  } finally {
    timer.abort();
  }
}

/** What the wall clock says at 0 of the log's clock. */
const timeOfDayAtZero = () => Date.now() - Number(now() / 1_000n);

export class Round {
  #plan;
  #place;
  #children = [];
  #started = 0;
  /** When processes were first started, in ms. */
  #since;
  #log;
  #logFile;
  #undo = new Set();
  #violations = [];
  #over = false;
  /** Resolves when there is power. */
  #power = Promise.resolve();

  /** `place`: `{ store, url(number), … }`, see `places.mjs`. */
  constructor(plan, place) {
    this.#plan = plan;
    this.#place = place;
  }

  async run() {
    const place = this.#place;
    this.#log = join(place.folder, 'log');
    this.#logFile = openSync(this.#log, 'a');
    // Closed while faults happen: a file is put in the place of another one.
    const open = () => new Ductape({ store: place.store, product: 'shop', env: 'test', worker: false });
    let ductape = open();
    const body = async () => {
      const [start, end] = await this.#dispatchSeries(ductape);
      await ductape.close();
      await place.begin?.();
      this.#since = Number(now() / 1_000n);
      for (const number of ROLES.keys()) this.#start(number);
      await this.#all('ready', () => this.#children, REST_MS);
      await this.#suffer();
      await this.#heal();
      ductape = open();
      await this.#settle(ductape);
      await this.#comesToRest(ductape);
      await this.#end();
      const account = Account.read(await readFile(this.#log, 'utf8'));
      this.#violations.push(
        ...(await examine(account, ductape, { start, end, series: SERIES, began: timeOfDayAtZero() })),
      );
      if (this.#violations.length === 0) this.#violations.push(...(await place.examine()));
    };
    try {
      // A call of its own that is never answered would hold it up.
      if ((await within(ROUND_MS, body())) === LATE)
        this.#violations.push(`the round was not over after ${ROUND_MS} ms`);
      return { violations: this.#violations, account: Account.read(await readFile(this.#log, 'utf8')) };
    } finally {
      this.#over = true;
      for (const { process } of this.#children) process.kill('SIGKILL');
      for (const undo of this.#undo) await undo();
      await within(CLOSE_MS, ductape.close({ timeout: 1_000 })).catch(() => {});
      closeSync(this.#logFile);
    }
  }

  async #dispatchSeries(ductape) {
    // Makes the schema, which may take its time, before the series begin.
    await ductape.jobs.getStats();
    const start = Date.now() + 1_500;
    const end = start + this.#plan.activeMs + 1_000;
    await ductape.features.dispatchMany(
      SERIES.map((every, number) => ({
        tag: 'tick',
        job_id: `series-${number}`,
        input: { for: 'tick' },
        // An attempt that a panic ends has failed.
        retries: 1,
        schedule: { start_at: start, endDate: end, every },
      })),
    );
    return [start, end];
  }

  #note(...words) {
    writeSync(this.#logFile, `${now()} harness ${words.join(' ')}\n`);
  }

  /** Notes that the power goes, and what may be lost with it (`undefined`: only what nobody waits for), or that it is back. */
  #noteCut = (word, loses) => this.#note(...[word, loses].filter(Boolean));

  #start(number) {
    const name = `p${number}.${++this.#started}`;
    const { store, environment } = this.#place.process(number);
    const settings = {
      store,
      log: this.#log,
      name,
      seed: this.#plan.seed * 31 + this.#started,
      relaxed: this.#plan.relaxed[number],
      began: timeOfDayAtZero(),
      since: this.#since,
      ...ROLES[number],
    };
    const panic = this.#plan.faults.find((fault) => fault.name === 'panic' && fault.victim === number);
    const failpoints = panic && { DUCTAPE_FAILPOINTS: `${panic.service}:${panic.pass}` };
    const child = spawn(process.execPath, [join(import.meta.dirname, 'program.mjs'), JSON.stringify(settings)], {
      env: { ...process.env, ...environment, ...failpoints },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let [said, errors] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      errors += text;
    });
    child.stdin.on('error', () => {});
    const entry = {
      name,
      process: child,
      killed: false,
      has: (word) => said.includes(word),
      ended: once(child, 'exit'),
    };
    entry.ended.then(async ([code, signal]) => {
      if (entry.killed || code === 0) return;
      if (code === TRY_AGAIN) {
        await sleep(TRY_AGAIN_MS);
        await this.#power;
        if (this.#children[number] === entry && !this.#over) this.#start(number);
        return;
      }
      this.#violations.push(`process ${name} ended by itself: ${code ?? signal}: ${errors.slice(0, 2_000)}`);
    });
    this.#children[number] = entry;
    this.#note('started', name);
    if (settings.relaxed) this.#note('relaxed', name);
    if (panic) this.#note('panics', name);
  }

  /** Ends a process at once, and says so first: from then on others may run what it ran. */
  async #kill(entry) {
    entry.killed = true;
    this.#note('killed', entry.name);
    entry.process.kill('SIGKILL');
    await entry.ended;
  }

  async #suffer() {
    const began = performance.now();
    const going = this.#plan.faults
      .filter(({ name }) => name !== 'panic')
      .map(async (fault) => {
        await sleep(fault.at);
        this.#note('fault', fault.name.replaceAll(' ', '-'), JSON.stringify(fault));
        await this.#faults[fault.name](fault);
        this.#note('healed', fault.name.replaceAll(' ', '-'));
      });
    await Promise.all(going);
    await sleep(Math.max(0, this.#plan.activeMs - (performance.now() - began)));
  }

  /** What each fault does; resolves when it is over. */
  #faults = {
    kill: async ({ victim, pause }) => {
      const entry = this.#children[victim];
      if (entry.killed) return;
      await this.#kill(entry);
      await sleep(pause);
      await this.#power;
      this.#start(victim);
    },
    stop: ({ victim, ms }) => this.#stop(this.#children[victim], ms),
    clock: async ({ victim, by }) => this.#place.control.setClock(victim, by),
    'far clock': async ({ victim, by }) => this.#place.control.setClock(victim, by),
    descriptors: async ({ victim, ms }) => {
      // Node.js itself does not start without any.
      await this.#all('ready', () => [this.#children[victim]], REST_MS);
      const give = await limitDescriptors(this.#children[victim].process.pid).catch(() => {});
      if (give) await this.#whileFor(ms, give);
    },
    'power cut': async ({ torn }) => {
      await this.#power;
      this.#power = this.#cutPower(torn);
      await this.#power;
    },
    'full disk': async ({ ms }) => {
      await this.#power;
      await this.#place.disk.fill(this.#place.control);
      await this.#whileFor(ms, () => this.#place.disk.free());
    },
    'write error': ({ ms }) => this.#failFor('write error', ms),
    'read error': ({ ms }) => this.#failFor('read error', ms),
    'failed sync': ({ ms }) => this.#failFor('failed sync', ms),
    'slow sync': async ({ ms, delay }) => {
      this.#place.control.set('slow sync', delay);
      await this.#whileFor(ms, async () => this.#place.control.set('slow sync', 0));
    },
    'foreign lock': async ({ ms }) => {
      // A program that opens the file while it is put back would make a log of its own.
      await this.#power;
      const release = await this.#place.lock();
      await this.#whileFor(ms, release);
    },
    'cut connections': async ({ victim }) => this.#place.gates[victim].cut(),
    'stalled connections': async ({ victim, ms }) => {
      const gate = this.#place.gates[victim];
      const { name } = this.#children[victim];
      this.#note('stalled', name, ms);
      gate.stall(true);
      await this.#whileFor(ms, async () => gate.stall(false));
    },
    'no connections': async ({ ms }) => {
      for (const gate of this.#place.gates) gate.refuse(true);
      await this.#whileFor(ms, async () => {
        for (const gate of this.#place.gates) gate.refuse(false);
      });
    },
    'server restart': ({ mode }) => this.#place.servers.restart(mode, this.#noteCut),
    'lost commits': ({ ms }) => this.#place.servers.loseCommits(ms, this.#noteCut),
    failover: ({ lag }) => this.#place.servers.failOver(lag, this.#noteCut),
  };

  async #failFor(name, ms) {
    this.#place.control.fail(name);
    await this.#whileFor(ms, async () => this.#place.control.set(name, 0));
  }

  /** `undo` also when the round ends before. */
  async #whileFor(ms, undo) {
    this.#undo.add(undo);
    await sleep(ms);
    this.#undo.delete(undo);
    await undo();
  }

  async #stop(entry, ms) {
    if (entry.killed) return;
    this.#note('stopped', entry.name);
    entry.process.kill('SIGSTOP');
    await this.#whileFor(ms, async () => entry.process.kill('SIGCONT'));
    this.#note('continued', entry.name);
  }

  async #cutPower(torn) {
    const children = this.#children.filter(({ killed }) => !killed);
    for (const entry of children) entry.killed = true;
    this.#note('power-cut');
    // Stopped first, so that none sees another one gone.
    for (const { process } of children) process.kill('SIGSTOP');
    for (const { process } of children) process.kill('SIGKILL');
    await Promise.all(children.map(({ ended }) => ended));
    // What began in the meantime was cut off, too.
    this.#note('power-back');
    await this.#place.cutPower(torn);
    for (const entry of children) this.#start(this.#children.indexOf(entry));
  }

  async #heal() {
    await this.#place.heal();
    this.#note('all-healed');
    await this.#all('ready', () => this.#children, REST_MS);
  }

  /** Everybody finishes what it has begun to ask for. */
  async #settle(ductape) {
    for (const { process } of this.#children) process.stdin.write('settle\n');
    let settled = false;
    const forward = async () => {
      // Some may wait for such a job.
      while (!settled) {
        await this.#bringForward(ductape);
        await sleep(200);
      }
    };
    const all = this.#all('settled', () => this.#children, REST_MS).finally(() => {
      settled = true;
    });
    await Promise.all([all, forward()]);
  }

  async #end() {
    for (const { process } of this.#children) process.stdin.end();
    await this.#all('ended', () => this.#children, CLOSE_MS);
  }

  /** A process whose clock is ahead makes its retries due by it: as an operator would when the clock is right again. */
  async #bringForward(ductape) {
    if (!this.#plan.faults.some(({ name, by }) => name === 'far clock' && by > 0)) return;
    const { jobs } = await ductape.jobs.list({ status: 'scheduled', limit: 1_000 });
    const late = jobs.filter(({ scheduled_at }) => scheduled_at > Date.now() + 600_000);
    for (const { id } of late) await ductape.jobs.reschedule(id, { start_at: Date.now() });
  }

  async #comesToRest(ductape) {
    const until = performance.now() + REST_MS;
    await this.#bringForward(ductape);
    for (;;) {
      const { scheduled, queued, running } = await ductape.jobs.getStats();
      if (scheduled + queued + running === 0) return;
      if (performance.now() > until) {
        this.#violations.push(`not at rest after ${REST_MS} ms: ${JSON.stringify({ scheduled, queued, running })}`);
        return;
      }
      await sleep(50);
    }
  }

  /** Waits until all processes have said `word`, or ended; names those that have not after `ms`. */
  async #all(word, children, ms) {
    const until = performance.now() + ms;
    const over = ({ process: { exitCode, signalCode } }) =>
      signalCode !== null || (exitCode ?? TRY_AGAIN) !== TRY_AGAIN;
    // One that is started again takes the place of the one before.
    const late = () => children().filter((entry) => !over(entry) && !entry.has(word));
    while (late().length > 0) {
      if (performance.now() > until) {
        this.#violations.push(`${late().map(({ name }) => name)}: not ${word} after ${ms} ms`);
        return;
      }
      await sleep(10);
    }
  }
}
