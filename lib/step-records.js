'use strict';
// What the store has of the steps of one run: which are finished or undone, and which runs it was before. Pure.

/** Prefix of the tags that this package uses itself. */
const RESERVED_PREFIX = 'ductape:';
/** Recorded before the first rollback, with the failure and the run as its result: this run is from then on only rolled back. */
const UNDOING_TAG = `${RESERVED_PREFIX}undoing`;
/** Before the run and the tag of a step that was undone. */
const UNDONE_PREFIX = `${RESERVED_PREFIX}undone:`;
/** Recorded by the store when a job is retried by hand, with the number of the run before. */
const EARLIER_RUN_PREFIX = `${RESERVED_PREFIX}run:`;
/** Behind the tag of a step that has a rollback. No tag holds a line break. */
const UNDOABLE_SUFFIX = '\n';

/** The tag that a finished step is recorded under. */
const finishedTag = (tag, isUndoable) => (isUndoable ? tag + UNDOABLE_SUFFIX : tag);

/** The tag that says that a step was undone in this run. */
const undoneTag = (tag, run) => `${UNDONE_PREFIX}${run}:${tag}`;

class StepRecords {
  /** The number of this run; before it, if it was retried by hand, those that it had before. */
  #runs = [];
  /** Finished steps by tag: `{ tag, order, text, isUndoable, isUndone }`; `text` is JSON or undefined. */
  #finished = new Map();
  /** By tag the run in which a step was last undone. */
  #undone = new Map();
  #lastOrder = 0;
  /** The failure `{ code, message, stack?, cause?, errors?, run }` that the run is rolled back for. */
  #undoing;

  /** `records`: pairs of tag and text, in the order they were recorded; `run`: the number of this run. */
  constructor(records, run) {
    for (const [tag, text] of records) this.#read(tag, text ?? undefined);
    this.#runs.push(run);
  }

  #read(tag, text) {
    if (tag === UNDOING_TAG) {
      this.#undoing = JSON.parse(text);
    } else if (tag.startsWith(UNDONE_PREFIX)) {
      const [run] = tag.slice(UNDONE_PREFIX.length).split(':', 1);
      this.undone(tag.slice(UNDONE_PREFIX.length + run.length + 1), Number(run));
    } else if (tag.startsWith(EARLIER_RUN_PREFIX)) {
      this.#runs.push(Number(tag.slice(EARLIER_RUN_PREFIX.length)));
    } else {
      const isUndoable = tag.endsWith(UNDOABLE_SUFFIX);
      this.finished(isUndoable ? tag.slice(0, -UNDOABLE_SUFFIX.length) : tag, text, isUndoable, this.nextOrder());
    }
  }

  get run() {
    return this.#runs.at(-1);
  }

  get undoing() {
    return this.#undoing;
  }

  /** From now on the run is only rolled back. */
  set undoing(failure) {
    this.#undoing = failure;
  }

  /** Whether any step is finished. */
  get any() {
    return this.#finished.size > 0;
  }

  /** The place of a step that is finished now. */
  nextOrder() {
    return ++this.#lastOrder;
  }

  finished(tag, text, isUndoable, order) {
    this.#finished.set(tag, { tag, order, text, isUndoable, isUndone: false });
  }

  undone(tag, run) {
    this.#undone.set(tag, run);
    const step = this.#finished.get(tag);
    if (step) step.isUndone = true;
  }

  find(tag) {
    return this.#finished.get(tag);
  }

  /** Finished steps, in their order, with those that were undone. */
  all() {
    return [...this.#finished.values()];
  }

  /** Finished steps that have a rollback and were not undone. */
  remaining() {
    return [...this.#finished.values()].filter(({ isUndoable, isUndone }) => isUndoable && !isUndone);
  }

  /**
   * The run that the idempotency key of a step names: the first one that may have done its work, as it is not known whether
   * it has; after it was undone, the next one, whose work is another.
   */
  keyRun(tag) {
    const undone = this.#undone.get(tag);
    if (undone === undefined) return this.#runs[0];
    return this.#runs[this.#runs.indexOf(undone) + 1] ?? this.run;
  }

  /** Forgets what an earlier run was rolled back for, and the steps that it undid; returns their recorded tags. */
  forgetEarlierUndoing() {
    if (this.#undoing === undefined || this.#undoing.run === this.run) return [];
    this.#undoing = undefined;
    const undone = [...this.#finished.values()].filter(({ isUndone }) => isUndone);
    for (const { tag } of undone) this.#finished.delete(tag);
    return [UNDOING_TAG, ...undone.map(({ tag, isUndoable }) => finishedTag(tag, isUndoable))];
  }
}

module.exports = { StepRecords, RESERVED_PREFIX, UNDOING_TAG, finishedTag, undoneTag };
