// What happened in a round, by its log, against what the store says.

/** Lines of a log as `{ at, by, word, rest }`, `at` in ms. */
function parse(text) {
  // What a killed process wrote last may lack its end.
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [at, by, word, ...rest] = line.split(' ');
      return { at: Number(at) / 1_000, by, word, rest };
    });
}

/** Whom a fault kept from working, so that others may have run what it ran: its names, and since when. */
const CUTS_OFF = new Set(['killed', 'stopped', 'panics']);
/** ms of stalled connections after which the lease of a process may have ended. */
const STALLED_FOR_LONG = 5_000;
/** ms for which a run may have been claimed before it begins: so long a process asks for the routes that came with the claim. */
const CLAIMED_FOR_MS = 5_000;

export class Account {
  constructor(lines) {
    this.lines = lines;
    /** Ids by what became of them on the caller's side. */
    this.sent = this.#ids('dispatch');
    this.acknowledged = this.#ids('dispatch-done');
    this.cancelled = this.#ids('cancel-done');
    /** When each was sent and answered, by word and id: `{ by, from, until }`. */
    this.calls = { dispatch: this.#calls('dispatch'), cancel: this.#calls('cancel') };
    this.cancelSent = this.#ids('cancel');
    /** Names of processes with relaxed durability. */
    this.relaxed = this.#ids('relaxed');
    /**
     * From when until when the power went: somewhere in between. `loses`: what may be gone of that which was acknowledged
     * meanwhile, `all` or that of `relaxed` processes.
     */
    const backs = lines.filter(({ word }) => word === 'power-back');
    this.powerCuts = lines
      .filter(({ word }) => word === 'power-cut')
      .map(({ at, rest: [loses] }, index) => ({
        from: at,
        until: backs[index]?.at ?? Number.POSITIVE_INFINITY,
        loses,
      }));
    this.cutOff = lines.filter((line) => CUTS_OFF.has(line.word) || this.#stalledForLong(line));
    this.starts = this.#attempts();
  }

  static read(text) {
    return new Account(parse(text));
  }

  #ids(wanted) {
    return new Set(this.lines.filter(({ word }) => word === wanted).flatMap(({ rest }) => rest));
  }

  #calls(word) {
    const calls = new Map();
    for (const { at, by, word: said, rest } of this.lines) {
      if (said === word) for (const id of rest) calls.set(id, { by, from: at, until: Number.POSITIVE_INFINITY });
      else if (said === `${word}-done`) for (const id of rest) calls.get(id).until = at;
    }
    return calls;
  }

  #stalledForLong({ word, rest }) {
    return word === 'stalled' && Number(rest[1]) >= STALLED_FOR_LONG;
  }

  /** By job and run, the calls of its handler, in order: `{ by, at, attempt, scheduledAt, ended, failed }`. */
  #attempts() {
    const runs = new Map();
    for (const { at, by, word, rest } of this.lines) {
      const [id, run, attempt, scheduledAt] = rest;
      const key = `${id}/${run}`;
      if (word === 'start') {
        if (!runs.has(key)) runs.set(key, []);
        runs.get(key).push({ id, by, at, attempt: Number(attempt), scheduledAt: Number(scheduledAt) });
      } else if (word === 'end' || word === 'fail') {
        const call = runs.get(key)?.findLast((each) => each.by === by && each.attempt === Number(attempt));
        if (call) call[word === 'end' ? 'ended' : 'failed'] = at;
      }
    }
    return runs;
  }

  /** Whether a process was cut off at some time between its call and the one that followed. */
  wasCutOff(name, until) {
    return this.cutOff.some(({ rest: [whom], at }) => whom === name && at <= until);
  }

  powerWasCut(from, until) {
    return this.powerCuts.some((cut) => cut.from <= until && cut.until >= from);
  }

  /** Power cuts that lose what was acknowledged. */
  lossyCuts() {
    return this.powerCuts.filter(({ loses }) => loses === 'all' || (loses === 'relaxed' && this.relaxed.size > 0));
  }

  /** Whether what came of a call may be gone, though it was acknowledged. */
  mayBeLost({ by, from, until }) {
    return this.powerCuts.some(
      (cut) =>
        cut.from <= until &&
        cut.until >= from &&
        (cut.loses === 'all' || (cut.loses === 'relaxed' && this.relaxed.has(by))),
    );
  }

  /** How long after each fault was over the next job was acknowledged, and the next one begun, in ms. */
  recoveries() {
    const after = (words, at) => this.lines.find((line) => line.at >= at && words.includes(line.word));
    return this.lines
      .filter(({ word }) => word === 'healed')
      .map(({ at, rest: [fault] }) => {
        const [acknowledged, started] = [after(['dispatch-done'], at), after(['start'], at)];
        return { fault, acknowledged: acknowledged && acknowledged.at - at, started: started && started.at - at };
      });
  }
}

/** All jobs of a store. */
async function listJobs(ductape) {
  const jobs = [];
  let cursor;
  do {
    const page = await ductape.jobs.list({ limit: 1_000, ...(cursor && { cursor }) });
    jobs.push(...page.jobs);
    cursor = page.next;
  } while (cursor);
  return jobs;
}

/** Each job that was acknowledged is there and was done; no other one is there; none was done beside itself. */
function* checkJobs(account, jobs) {
  const stored = new Map(jobs.map((job) => [job.id, job]));
  if (stored.size !== jobs.length) yield `the store lists ${jobs.length} jobs under ${stored.size} ids`;
  for (const id of account.acknowledged) {
    if (!stored.has(id) && !account.mayBeLost(account.calls.dispatch.get(id)))
      yield `${id} was acknowledged and is not there`;
  }
  for (const { id, status } of jobs) {
    if (id.startsWith('series-')) continue;
    if (!account.sent.has(id)) yield `${id} is there and nobody sent it`;
    if (status === 'cancelled' && !account.cancelSent.has(id)) yield `${id} is cancelled, and nobody asked for that`;
    if (account.cancelled.has(id) && status !== 'cancelled' && !account.mayBeLost(account.calls.cancel.get(id)))
      yield `${id} was cancelled and is ${status}`;
    const calls = account.starts.get(`${id}/1`) ?? [];
    if (status === 'completed' && !calls.some(({ ended }) => ended))
      yield `${id} is completed, and its handler did not end`;
    if (status !== 'completed' && status !== 'cancelled') yield `${id} is ${status}`;
  }
}

/** A run begins again only where its process was cut off, or failed, or where the power was cut. */
function* checkCalls(account) {
  for (const [run, calls] of account.starts) {
    for (const [index, call] of calls.entries()) {
      const before = calls[index - 1];
      if (!before || before.failed) continue;
      if (account.wasCutOff(before.by, call.at) || account.powerWasCut(before.at - CLAIMED_FOR_MS, call.at)) continue;
      // It was stopped with a claim that others have taken over, and does not know yet.
      if (account.wasCutOff(call.by, call.at)) continue;
      yield `${run} was begun by ${before.by} and again by ${call.by}, though nothing had happened to ${before.by}`;
    }
  }
}

/** A job comes to the handler of its target, and a process goes on once all is healed. */
function* checkNotes(account) {
  // One that panics may do so only now.
  const panicking = account.lines.filter(({ word }) => word === 'panics').map(({ rest: [name] }) => name);
  for (const { by, word, rest } of account.lines) {
    if (word === 'wrong') yield `${rest[0]} came to the handler ${rest[1]} in ${by}, and is for ${rest[2]}`;
    if (word === 'unhealed' && !panicking.includes(by)) yield `${by} could not dispatch though everything was healed`;
  }
}

/** A result that was waited for stays: the job does not run again. */
function* checkWaits(account) {
  for (const {
    at,
    word,
    rest: [id],
  } of account.lines) {
    if (word !== 'wait-done') continue;
    const again = (account.starts.get(`${id}/1`) ?? []).find((call) => call.at > at);
    if (again && !account.powerWasCut(at - CLAIMED_FOR_MS, again.at))
      yield `${id} was waited for, and began again in ${again.by}`;
  }
}

/** By the calls of each run of a series, the occurrences they were for. */
function occurrencesOfRuns(account, id, count) {
  const lossy = account.lossyCuts();
  const runs = new Map();
  for (const [key, calls] of account.starts) {
    if (calls[0].id !== id) continue;
    // A run that is lost had the number of one that came later, or of none.
    const last = calls.at(-1);
    // It may have been claimed before the power was back, and begin after that.
    const inLoss = ({ at }) => lossy.some((cut) => cut.from <= at && at - CLAIMED_FOR_MS <= cut.until);
    if (Number(key.slice(id.length + 1)) > count && calls.every(inLoss)) continue;
    const stays = calls.filter((call) => call.scheduledAt === last.scheduledAt || !inLoss(call));
    runs.set(calls, new Set(stays.map(({ scheduledAt }) => scheduledAt)));
  }
  return runs;
}

/**
 * The last time of day that a process may have dealt with by a clock which was put back: intervals go on at once by the new time,
 * and come to their times again when it is put right. `began`: the time of day at 0 of the log's clock.
 */
function lastShownTwice(account, began) {
  const told = ({ word, rest }) => word === 'warn' && /the clock of .* (was put back|went ahead)/.test(rest.join(' '));
  const isBack = ({ rest }) => rest.join(' ').includes('was put back');
  const jumps = account.lines.filter(told);
  return jumps.some(isBack) ? began + jumps.at(-1).at : Number.NEGATIVE_INFINITY;
}

/** Each occurrence is one run, or is recorded as missed or skipped. */
async function* checkSeries(account, ductape, { start, end, series, began }) {
  const shownTwice = lastShownTwice(account, began);
  for (const [number, every] of series.entries()) {
    const id = `series-${number}`;
    const { status } = await ductape.jobs.get(id);
    if (status !== 'completed') yield `${id} is ${status}`;
    const history = await ductape.jobs.getHistory(id, { limit: 1_000 });
    const runs = occurrencesOfRuns(account, id, history.total_executions);
    const points = [];
    for (const [calls, of] of runs) {
      if (of.size > 1) yield `a run of ${id} had the occurrences ${[...of]}: ${calls.map(({ by }) => by)}`;
      points.push(...of);
    }
    for (const gap of [...history.missed, ...history.skipped]) {
      for (let at = gap.from; at <= gap.to; at += every) points.push(at);
    }
    const expected = Array.from({ length: Math.floor((end - start) / every) + 1 }, (_, k) => start + k * every);
    const counts = new Map();
    for (const point of points) counts.set(point, (counts.get(point) ?? 0) + 1);
    for (const point of expected) {
      const count = counts.get(point) ?? 0;
      if (point <= shownTwice ? count < 1 : count !== 1)
        yield `the occurrence ${point - start} of ${id} is accounted for ${count} times: ${describe(runs, history, start)}`;
    }
    if (counts.size > expected.length) yield `${id} has occurrences beyond its grid`;
    if (history.total_executions !== runs.size)
      yield `${id} counts ${history.total_executions} runs, ${runs.size} were begun`;
  }
}

/** Where the occurrences of a series went, in ms from its start. */
function describe(runs, { missed, skipped }, start) {
  const gaps = (list) => list.map(({ from, to }) => `${from - start}–${to - start}`).join(', ');
  const points = [...runs.values()].flatMap((of) => [...of]).map((at) => at - start);
  return `runs ${points.join(', ')}; missed ${gaps(missed)}; skipped ${gaps(skipped)}`;
}

function* checkStats(stats, jobs) {
  for (const status of ['completed', 'cancelled', 'failed']) {
    const listed = jobs.filter((job) => job.status === status).length;
    const runs = jobs.filter((job) => job.status === status && job.recurring);
    if (runs.length === 0 && stats[status] !== listed)
      yield `${stats[status]} jobs are counted as ${status}, ${listed} are listed`;
  }
}

/** Adds what the store knows of the job that a sentence begins with. */
async function withHistory(ductape, violation) {
  const [, id] = /^([\w.-]+)(\/\d+)? /.exec(violation) ?? [];
  const history = id && (await ductape.jobs.getHistory(id, { limit: 20 }).catch(() => {}));
  if (!history) return violation;
  const attempts = history.executions.map(({ run, attempt, status, error }) => [run, attempt, status, error?.message]);
  return `${violation}; its last attempts: ${JSON.stringify(attempts)}`;
}

/** What is wrong. */
export async function examine(account, ductape, { start, end, series, began }) {
  const jobs = await listJobs(ductape);
  const violations = [
    ...checkJobs(account, jobs),
    ...checkCalls(account),
    ...checkNotes(account),
    ...checkWaits(account),
    ...checkStats(await ductape.jobs.getStats(), jobs),
  ];
  for await (const violation of checkSeries(account, ductape, { start, end, series, began }))
    violations.push(violation);
  return Promise.all(violations.map((violation) => withHistory(ductape, violation)));
}
