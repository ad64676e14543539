'use strict';
// How late the event loop is, for `metrics()`. Node measures it outside of JavaScript; until somebody asks, nothing is measured.

const { monitorEventLoopDelay } = require('node:perf_hooks');

/** ms between two looks of Node's, which count as part of what it measures. */
const RESOLUTION_MS = 20;

const seconds = (ns) => Math.max(0, ns / 1e6 - RESOLUTION_MS) / 1e3;

class EventLoop {
  #monitor;

  /** Delays since the last call, s. `null`: nothing was measured. Measures from the first call on. */
  read() {
    if (!this.#monitor) {
      this.#monitor = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
      this.#monitor.enable();
      return null;
    }
    const { mean, max } = this.#monitor;
    // Of no look the mean is no number.
    if (Number.isNaN(mean)) return null;
    const delays = { mean: seconds(mean), p99: seconds(this.#monitor.percentile(99)), max: seconds(max) };
    this.#monitor.reset();
    return delays;
  }

  /** Measures no more, for good. */
  end() {
    this.#monitor?.disable();
  }
}

module.exports = { EventLoop };
