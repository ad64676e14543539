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

/** Messages that are in an error, or in what it names as its causes, and not in what may leave of it. */
function hiddenMessages(error, safe, found = []) {
  if (error === null || typeof error !== 'object') return found;
  if (typeof error.message === 'string' && error.message !== '' && error.message !== safe?.message)
    found.push(error.message);
  if (error.cause) hiddenMessages(error.cause, safe?.cause, found);
  for (const [at, each] of (error.errors ?? []).entries()) hiddenMessages(each, safe?.errors?.[at], found);
  return found;
}

/** The value without these texts, wherever they stand in it. */
function withoutTexts(value, texts) {
  if (typeof value === 'string') return texts.reduce((text, hidden) => text.replaceAll(hidden, REDACTED), value);
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((each) => withoutTexts(each, texts));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withoutTexts(each, texts)]));
}

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
      for (const each of part === '*' ? PARTS : [part]) this.#rests.get(each).push(names);
    }
  }

  /** A part of a job as it may leave. */
  part(name, value) {
    const rests = this.#rests.get(name);
    if (rests.length === 0 || value === undefined) return value;
    const safe = without(value, rests);
    if (name !== 'error') return safe;
    if (safe === REDACTED) return { code: REDACTED, message: REDACTED };
    // A stack begins with the message of its error.
    const messages = hiddenMessages(value, safe);
    return messages.length === 0 ? safe : withoutTexts(safe, messages);
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
    if (job.last_error !== undefined) safe.last_error = this.message(job.last_error);
    if (job.last_run?.error) safe.last_run = { ...job.last_run, error: this.part('error', job.last_run.error) };
    return safe;
  }

  /** The message of an error, where nothing else of it is known. */
  message(text) {
    return this.part('error', { message: text }).message;
  }

  /** Text that the package has made of an error's message, without what may not leave of that. */
  sentence(text, error) {
    return error === undefined ? text : withoutTexts(text, hiddenMessages(error, this.part('error', error)));
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
