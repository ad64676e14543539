'use strict';
// The commands, in the order in which help lists them.

const { changes } = require('./changes.js');

const commands = [
  require('./list.js'),
  require('./get.js'),
  require('./explain.js'),
  require('./stats.js'),
  require('./metrics.js'),
  ...changes,
  require('./dispatch.js'),
  require('./preview.js'),
  require('./check.js'),
  require('./logs.js'),
  require('./work.js'),
  require('./top.js'),
  require('./dashboard.js'),
  require('./demo.js'),
  require('./doctor.js'),
  require('./backup.js'),
  require('./move.js'),
  require('./completion.js'),
];

module.exports = { commands };
