// What happens in a round: drawn from its seed, before it begins.
import { Random } from './random.mjs';

/** ms in which faults begin. */
const ACTIVE_MS = 1_200;

/** How long a fault lasts, in ms: mostly short, now and then longer than the lease of a process (10 s). */
const lasts = (random, least, most) =>
  random.chance(0.03) ? random.integer(11_000, 13_000) : random.integer(least, most);

/**
 * By name: how often it is drawn, and the rest of its description. `victim` is the number of a process.
 * What a fault does is in `round.mjs`.
 */
const EVERYWHERE = {
  kill: [4, (random) => ({ victim: random.integer(0, 2), pause: random.integer(0, 300) })],
  stop: [3, (random) => ({ victim: random.integer(0, 2), ms: lasts(random, 100, 2_000) })],
  clock: [2, (random) => ({ victim: random.integer(0, 2), by: random.integer(-5_000, 5_000) })],
  'far clock': [1, (random) => ({ victim: random.integer(0, 2), by: random.pick([-3_600_000, 3_600_000]) })],
  descriptors: [2, (random) => ({ victim: random.integer(0, 2), ms: random.integer(100, 1_500) })],
};

const OF_STORE = {
  sqlite: {
    'power cut': [4, (random) => ({ torn: random.chance(0.5) ? random.next() : undefined })],
    'full disk': [3, (random) => ({ ms: lasts(random, 100, 2_000) })],
    'write error': [2, (random) => ({ ms: random.integer(20, 600) })],
    'read error': [2, (random) => ({ ms: random.integer(20, 600) })],
    'failed sync': [3, (random) => ({ ms: random.integer(20, 600) })],
    'slow sync': [2, (random) => ({ ms: random.integer(300, 1_500), delay: random.integer(10, 300) })],
    'foreign lock': [3, (random) => ({ ms: lasts(random, 200, 3_000) })],
  },
  postgres: {
    'cut connections': [4, (random) => ({ victim: random.integer(0, 2) })],
    'stalled connections': [3, (random) => ({ victim: random.integer(0, 2), ms: lasts(random, 100, 3_000) })],
    'no connections': [3, (random) => ({ ms: random.integer(100, 3_000) })],
    'server restart': [2, (random) => ({ mode: random.pick(['fast', 'immediate']) })],
    // `ms`: for how long only what somebody waits for has been written before.
    'lost commits': [3, (random) => ({ ms: random.integer(20, 600) })],
    // `lag`: for how long the replica has received nothing; without it everything acknowledged has been received.
    failover: [2, (random) => ({ lag: random.chance(0.5) ? random.integer(20, 600) : undefined })],
  },
};

/** Services that can be made to panic, see `Failpoints`. */
const SERVICES = ['claimer', 'executor', 'completer', 'intake', 'lease'];

const describePanic = (random) => ({
  victim: random.integer(0, 2),
  service: random.pick(SERVICES),
  pass: random.integer(1, 40),
});

/** By process, whether it has relaxed durability: some of them in a third of the rounds. */
function drawRelaxed(random, store) {
  const some = store === 'postgres' && random.chance(0.35);
  return Array.from({ length: 3 }, () => some && random.chance(0.75));
}

/**
 * The faults of a round, by the time at which they begin: `{ name, at, … }`, and which of its processes dispatch with relaxed
 * durability. `panics`: the addon has failpoints. These are drawn apart, so that a seed means the same other faults with and
 * without them.
 */
export function drawPlan(seed, store, panics) {
  const random = new Random(seed);
  // Each as often as its weight says.
  const kinds = Object.entries({ ...EVERYWHERE, ...OF_STORE[store] }).flatMap(([name, [weight, describe]]) =>
    Array.from({ length: weight }, () => [name, describe]),
  );
  const faults = Array.from({ length: random.integer(1, 4) }, () => {
    const [name, describe] = random.pick(kinds);
    return { name, at: random.integer(0, ACTIVE_MS), ...describe(random) };
  });
  // There is one replica.
  const first = faults.findIndex(({ name }) => name === 'failover');
  const kept = faults.filter(({ name }, index) => name !== 'failover' || index === first);
  const other = new Random(seed ^ 0x5bd1e995);
  if (panics && other.chance(0.3)) kept.push({ name: 'panic', at: 0, ...describePanic(other) });
  const relaxed = drawRelaxed(new Random(seed ^ 0x27d4eb2f), store);
  return { seed, store, activeMs: ACTIVE_MS, relaxed, faults: kept.sort((one, next) => one.at - next.at) };
}
