// The examples, run as their readers run them.
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from './support/instances.js';
import { node } from './support/processes.js';
import { address } from './support/servers.js';

const root = resolve(import.meta.dirname, '..');
/** Servers that parts need, by the part. */
const servers: Record<string, string> = {
  dynamodb: 'DUCTAPE_TEST_DYNAMODB',
  events: 'DUCTAPE_TEST_NATS',
  graphs: 'DUCTAPE_TEST_NEO4J',
  mongodb: 'DUCTAPE_TEST_MONGODB',
};
const named = new Map(Object.entries(servers).map(([part, variable]) => [part, address(variable)]));

describe('examples/native', () => {
  /** What a part prints when all its jobs were done. */
  const said = {
    actions: [/placed: HTTP 201 after 1 retries/],
    notifications: [/sent to bob@example\.com: <.+>/],
    sms: [/text sent to \+4915111111: SM\d/, /e-mail sent to Ann <ann@example\.com>: m-\d/, /in vain: .*21211/],
    storage: [/read: invoice 2: 99\.90 EUR/],
    events: [/a topic: \{"message_id":"job_.+","subject":"shop\.orders\.placed"\}/],
    // `deleteMany` and `deleteNodes` with a filter are what the documentation of jobs shows.
    databases: [/inserted \{ count: 3 \}/, /deleted \{ count: 1 \}/],
    'database-actions': [/taken \{ count: 1 \}/],
    dynamodb: [/deleted \{ count: 2 \}/],
    graphs: [/cleared \{ deleted: true, deletedCount: 1 \}/, /shortest: Berlin - Leipzig - Munich, 620 km/],
    mongodb: [/deleted \{ count: 1 \}/],
    features: [/checkout: \{ message: '2 items in EUR' \}/],
  };

  it.each(Object.entries(said).map(([part, lines]) => ({ part, lines })))(
    'does $part without a handler',
    async ({ part, lines }) => {
      const example = node([resolve(root, 'examples/native/index.mjs'), part], { cwd: await temporaryFolder() });
      expect((await example.ended).code, example.stderr()).toBe(0);
      const text = example.lines.join('\n');
      const missing = named.has(part) && !named.get(part);
      if (missing) expect(text).toContain(`${part}: skipped, set ${servers[part]}`);
      else for (const line of lines) expect(text).toMatch(line);
      // A job that nobody serves is warned about.
      // What an example lets fail on purpose is told as well.
      expect(example.stderr().replace(/^ductape: job .* failed in attempt .*\n/gm, '')).toBe('');
    },
  );
});
