'use strict';
// Timers and time as they are when the package is imported: fake ones that are installed later stop neither the traffic with the
// native side nor waits.

const { clearTimeout, setImmediate, setTimeout } = require('node:timers');
const { performance } = require('node:perf_hooks');

module.exports = { clearTimeout, monotonicNow: performance.now.bind(performance), setImmediate, setTimeout };
