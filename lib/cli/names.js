'use strict';
// Names that options and completions know.

const { NAMESPACES } = require('../namespaces.js');

const STATES = ['scheduled', 'queued', 'running', 'completed', 'failed', 'cancelled', 'paused'];

module.exports = { NAMESPACES, STATES };
