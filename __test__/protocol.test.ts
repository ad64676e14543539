// The wire format: `src/node/protocol.rs`, `lib/protocol.js` and the tables in docs/design/boundary.md name the same kinds.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

type Kinds = Record<string, Record<string, string | number>>;

const root = resolve(import.meta.dirname, '..');
const require = createRequire(import.meta.url);
const { Ductape: Native } = require('../native.js') as { Ductape: { protocolKinds(): string } };

/** `RunHandler` as `RUN_HANDLER`. */
const constantName = (name: string) => name.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();

const mapValues = <From, To>(record: Record<string, From>, change: (value: From) => To): Record<string, To> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));

const withConstantNames = (kinds: Kinds): Kinds =>
  mapValues(kinds, (group) =>
    Object.fromEntries(Object.entries(group).map(([name, wire]) => [constantName(name), wire])),
  );

/** Kinds as Rust has them. */
const inRust = withConstantNames(JSON.parse(Native.protocolKinds()) as Kinds);

/** Kinds as JavaScript has them: whatever `lib/protocol.js` exports that is not a function. */
const inJavaScript = Object.fromEntries(
  Object.entries(require('../lib/protocol.js') as Kinds).filter(([, value]) => typeof value !== 'function'),
);

/** Kinds as the tables have them: `| `Name` | `wire` | …` below `### `GROUP`: …`. */
function documented(markdown: string): Kinds {
  const groups = markdown.split(/^### /m).slice(1);
  return withConstantNames(
    Object.fromEntries(
      groups.map((text) => {
        const rows = [...text.matchAll(/^\| `(\w+)` \| `([^`]+)` \|/gm)];
        const kinds = rows.map(([, name, wire]) => [
          name,
          /^[a-z]/.test(wire as string) ? wire : JSON.parse(wire as string),
        ]);
        return [text.slice(1, text.indexOf('`', 1)), Object.fromEntries(kinds)];
      }),
    ),
  );
}

describe('the wire format', () => {
  it('has the same kinds in Rust, in JavaScript and in the documented tables', async () => {
    const inDocument = documented(await readFile(join(root, 'docs/design/boundary.md'), 'utf8'));
    expect(Object.keys(inDocument).sort()).toEqual(['ANSWER', 'DISPATCH_FORM', 'MESSAGE', 'NOTE', 'NO_RETRY']);
    expect(inJavaScript).toEqual(inDocument);
    expect(inRust).toEqual(inDocument);
  });

  it('gives each kind of a group a wire form of its own', () => {
    for (const [group, kinds] of Object.entries(inRust)) {
      const wires = Object.values(kinds);
      expect(new Set(wires).size, group).toBe(wires.length);
    }
  });

  it('has a branch in the bridge for each message', async () => {
    const bridge = await readFile(join(root, 'lib/bridge.js'), 'utf8');
    const branches = [...bridge.matchAll(/case MESSAGE\.(\w+):/g)].map(([, name]) => name);
    expect(branches.sort()).toEqual(Object.keys(inRust.MESSAGE ?? {}).sort());
  });
});
