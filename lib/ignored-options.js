'use strict';
// Options of the constructor that programs written for the hosted service have.

const IGNORED = [
  'accessKey',
  'access_key',
  'public_key',
  'private_key',
  'user_id',
  'workspace_id',
  'env_type',
  'redis_url',
  'redisUrl',
  'local',
  'registerGlobalInterceptors',
];

/** Programs make many instances with the same options. */
let isTold = false;

/** Takes these options away; returns the names of those that the program is to be told of, once a process. */
function takeIgnoredOptions(options) {
  const given = IGNORED.filter((name) => options[name] !== undefined);
  for (const name of given) delete options[name];
  if (given.length === 0 || isTold) return [];
  isTold = true;
  return given;
}

module.exports = { takeIgnoredOptions };
