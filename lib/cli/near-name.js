'use strict';
// The known name that a misspelt one most likely means.

/** Changes of single characters, and swaps of two beside each other, that make one text of the other. */
function distance(from, to) {
  let [before, row] = [[], Array.from({ length: to.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const cost = from[i - 1] === to[j - 1] ? 0 : 1;
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + cost);
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (isSwap) next[j] = Math.min(next[j], before[j - 2] + 1);
    }
    [before, row] = [row, next];
  }
  return row[to.length];
}

/** `undefined`: none is near. */
function nearName(name, known) {
  let best;
  for (const each of known) {
    const far = distance(name.toLowerCase(), each);
    const isNear = far <= Math.max(1, Math.floor(each.length / 3)) || (name.length >= 3 && each.startsWith(name));
    if (isNear && (best === undefined || far < best.far)) best = { each, far };
  }
  return best?.each;
}

module.exports = { nearName };
