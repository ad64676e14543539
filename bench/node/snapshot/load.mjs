// The load that all queues get.

/** Lanes, each with one batch under way. */
export const LANES = 10;
export const BATCH = 50;
export const CONCURRENCY = 100;
/** pg-boss takes a batch twice a second at most, so that it needs several at once. */
export const POLLERS = 10;

/** Lists of ductape that are timed. */
export const LISTS = {
  all: {},
  queued: { status: 'queued' },
  running: { status: 'running' },
  completed: { status: 'completed' },
  failed: { status: 'failed' },
};
