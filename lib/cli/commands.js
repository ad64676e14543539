'use strict';
// The commands, in the order in which help lists them.

const commands = [require('./list.js'), require('./get.js'), require('./explain.js'), require('./stats.js')];

module.exports = { commands };
