'use strict';
// Names that options and completions know.

const STATES = ['scheduled', 'queued', 'running', 'completed', 'failed', 'cancelled', 'paused'];
const NAMESPACES = [
  'actions',
  'features',
  'notifications',
  'storage',
  'events',
  'databases',
  'databases.action',
  'graphs',
  'graphs.action',
];

module.exports = { NAMESPACES, STATES };
