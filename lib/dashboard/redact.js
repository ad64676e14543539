'use strict';
// Takes what `redact` names out of everything that leaves: of inputs, results, errors, logs, progress and steps.
//
// A path is names between dots. The first is a part of a job, or `*` for all of them; then `*` is any member or entry, and `**` any
// number of levels.

/** What stands in place of a value. */
const REDACTED = '[redacted]';
const PARTS = ['input', 'result', 'error', 'logs', 'progress', 'steps'];
const MAX_PATHS = 200;
const MAX_LEVELS = 20;
const EXAMPLES = "as in 'input.password', 'input.cards.*.number', 'result.**.token' or '*.secret'";

/** What is wrong with a path; `undefined`: nothing. */
function complaintOf(path) {
  if (typeof path !== 'string') return `must be a text, ${EXAMPLES}, got ${path === null ? 'null' : typeof path}`;
  const [part, ...names] = path.split('.');
  if (part !== '*' && !PARTS.includes(part)) {
    return `'${path}' must begin with one of ${PARTS.join(', ')}, or *, ${EXAMPLES}`;
  }
  if (names.length > MAX_LEVELS) return `'${path}' has more than ${MAX_LEVELS} names`;
  if (
    names.some((name) => name === '' || (name.includes('*') && name !== '*' && name !== '**') || /[[\]]/.test(name))
  ) {
    return `'${path}' must be names between dots, where * is any one and ** any number of them, ${EXAMPLES}`;
  }
  if (names.at(-1) === '**') return `'${path}' must end with a name or *, ${EXAMPLES}`;
  return undefined;
}

/** The value without what the rests of paths name. */
function without(value, rests) {
  if (rests.some((rest) => rest.length === 0)) return value === undefined ? undefined : REDACTED;
  if (value === null || typeof value !== 'object') return value;
  const inner = (name) => {
    const found = [];
    for (const rest of rests) {
      const [first, ...others] = rest;
      if (first === '**') {
        found.push(rest);
        if (others[0] === '*' || others[0] === name) found.push(others.slice(1));
      } else if (first === '*' || first === name) found.push(others);
    }
    return found;
  };
  if (Array.isArray(value)) {
    return value.map((each, at) => {
      const names = inner(String(at));
      return names.length === 0 ? each : without(each, names);
    });
  }
  // Defines members, so that one named `__proto__` stays one.
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => {
      const names = inner(name);
      return [name, names.length === 0 ? each : without(each, names)];
    }),
  );
}

const ERROR_TEXTS = ['code', 'message', 'stack'];

/** Names as `without` takes them. What a text of an error holds is in those of its causes too: `error.message` means all of theirs. */
function restOf(part, names) {
  const all =
    part === 'error' && ERROR_TEXTS.includes(names.at(-1)) ? [...names.slice(0, -1), '**', names.at(-1)] : names;
  return all.filter((name, at) => name !== '**' || all[at - 1] !== '**');
}

/** Messages that are in an error, or in what it names as its causes, and not in what may leave of it. */
function hiddenMessages(error, safe, found = []) {
  if (error === null || typeof error !== 'object') return found;
  if (typeof error.message === 'string' && error.message !== '' && error.message !== safe?.message)
    found.push(error.message);
  if (error.cause) hiddenMessages(error.cause, safe?.cause, found);
  for (const [at, each] of (error.errors ?? []).entries()) hiddenMessages(each, safe?.errors?.[at], found);
  return found;
}

/** Where these texts stand, as `[from, to]` in order. They may overlap, as one message often contains another: such are one place. */
function placesOf(text, texts) {
  const found = [];
  for (const each of texts) {
    for (let at = text.indexOf(each); at !== -1; at = text.indexOf(each, at + each.length)) {
      found.push([at, at + each.length]);
    }
  }
  const merged = [];
  for (const [from, to] of found.sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** The value without these texts, wherever they stand in it. */
function withoutTexts(value, texts) {
  if (typeof value === 'string') {
    let [shown, end] = ['', 0];
    for (const [from, to] of placesOf(value, texts)) {
      shown += value.slice(end, from) + REDACTED;
      end = to;
    }
    return shown + value.slice(end);
  }
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((each) => withoutTexts(each, texts));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withoutTexts(each, texts)]));
}

const LINE_END = /\r\n|[\n\r\u2028\u2029]/;
const FRAME = '    at ';
/** Messages of causes that are as long may be cut, where a stack has all of them. */
const LONG_CHARS = 1000;

/** Whether a stack with this message may have lines of it that look like frames. */
const looksLikeFrames = (message) =>
  message.length >= LONG_CHARS || message.split(LINE_END).some((line) => line.startsWith(FRAME));

/** A stack's lines that tell of code. Others tell of errors, also behind the first frame: some append the stack of a cause. */
function framesOf(stack) {
  const kept = [];
  for (const line of stack.split(LINE_END)) {
    if (line.startsWith(FRAME)) kept.push(line);
    else if (kept.at(-1) !== REDACTED) kept.push(REDACTED);
  }
  return kept.join('\n');
}

/**
 * Takes codes and messages out of the stacks of errors of which these are hidden. A stack begins with them, or with those of another
 * error: it can be set. Where a hidden message may have lines like frames (`isMixed`), nothing tells them apart.
 */
function withoutHeads(safe, error, isMixed) {
  if (safe === null || typeof safe !== 'object') return safe;
  const shown = { ...safe };
  const isHidden = safe.message !== error.message || safe.code !== error.code;
  if (isHidden && typeof safe.stack === 'string') shown.stack = isMixed ? REDACTED : framesOf(safe.stack);
  if (safe.cause) shown.cause = withoutHeads(safe.cause, error.cause, isMixed);
  if (Array.isArray(safe.errors)) {
    shown.errors = safe.errors.map((each, at) => withoutHeads(each, error.errors[at], isMixed));
  }
  return shown;
}

/** How the sentences of `jobs.explain` begin that end with the code and the message of an error. */
const FAILED_WITH = /^(?:the job failed|attempt \d+ of \d+ is due)\b.*? with /s;

/** The paths of one dashboard. */
class Redaction {
  /** Rests of paths by part. */
  #rests = new Map(PARTS.map((part) => [part, []]));

  /** `paths` as the program gives them; what is wrong is added to `problems`. */
  constructor(paths, problems) {
    if (!Array.isArray(paths)) {
      problems.push({ path: 'options.redact', message: `must be a list of paths, ${EXAMPLES}` });
      return;
    }
    if (paths.length > MAX_PATHS) {
      problems.push({ path: 'options.redact', message: `has ${paths.length} paths, the limit is ${MAX_PATHS}` });
      return;
    }
    for (const [at, path] of paths.entries()) {
      const message = complaintOf(path);
      if (message !== undefined) {
        problems.push({ path: `options.redact[${at}]`, message });
        continue;
      }
      const [part, ...names] = path.split('.');
      for (const each of part === '*' ? PARTS : [part]) this.#rests.get(each).push(restOf(each, names));
    }
  }

  /** A part of a job as it may leave. */
  part(name, value) {
    const rests = this.#rests.get(name);
    if (rests.length === 0 || value === undefined) return value;
    const safe = without(value, rests);
    if (name !== 'error') return safe;
    if (safe === REDACTED) return { code: REDACTED, message: REDACTED };
    const messages = hiddenMessages(value, safe);
    const isMixed = messages.some(looksLikeFrames);
    return withoutHeads(withoutTexts(safe, messages), value, isMixed);
  }

  /** The lines of a log: a text each. */
  logs(lines) {
    const safe = this.part('logs', lines);
    return safe === REDACTED ? lines.map((line) => ({ ...line, message: REDACTED })) : safe;
  }

  /** Steps: of each its result may be more than may leave. */
  steps(steps) {
    const safe = this.part('steps', steps);
    return safe === REDACTED ? steps.map(({ result: _result, ...step }) => step) : safe;
  }

  /** A job as it may leave. Its `last_error` is the message of its error. */
  job(job) {
    const safe = { ...job };
    for (const name of ['input', 'result', 'progress', 'error']) {
      if (job[name] !== undefined) safe[name] = this.part(name, job[name]);
    }
    if (job.last_error !== undefined) {
      // The error is known: its message may hold that of a cause.
      const isKnown = job.error?.message === job.last_error;
      safe.last_error = isKnown ? safe.error.message : this.message(job.last_error);
    }
    if (job.last_run?.error) safe.last_run = { ...job.last_run, error: this.part('error', job.last_run.error) };
    return safe;
  }

  /** The message of an error, where nothing else of it is known. */
  message(text) {
    return this.part('error', { message: text }).message;
  }

  /** A sentence of `jobs.explain` about a job with that error, without what may not leave of it. */
  sentence(text, error) {
    if (this.#rests.get('error').length === 0) return text;
    const safe = error && this.part('error', error);
    const [head] = FAILED_WITH.exec(text) ?? [];
    if (head === undefined) return safe ? withoutTexts(text, hiddenMessages(error, safe)) : text;
    // The job may have failed anew since its error was read: of that one nothing is known.
    const isSame = error && text === `${head}${error.code}: ${error.message}`;
    return head + (isSame ? `${safe.code}: ${safe.message}` : REDACTED);
  }

  /** An attempt that has ended. */
  execution(execution) {
    const safe = { ...execution };
    for (const name of ['result', 'error']) {
      if (execution[name] !== undefined) safe[name] = this.part(name, execution[name]);
    }
    return safe;
  }
}

module.exports = { REDACTED, Redaction };
