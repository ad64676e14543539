// Definitions of resources: the constructor accepts what the published schema accepts. Each section of a product has a
// file of valid and invalid members.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import type { Resources } from './support/ductape.js';
import { defineResources } from './support/ductape.js';
import { create, product, rejection } from './support/instances.js';

const folder = join(import.meta.dirname, 'fixtures/resources');

interface Corpus {
  valid: object[];
  invalid: {
    /** Path of the problem within the member. */
    path: string;
    member: unknown;
    /** Beyond JSON Schema: duplicate names, secrets, invalid keys. */
    beyondSchema?: boolean;
  }[];
}

const sections = readdirSync(folder).map((file) => {
  const corpus: Corpus = JSON.parse(readFileSync(join(folder, file), 'utf8'));
  return { section: file.replace('.json', ''), corpus };
});
const schema = JSON.parse(readFileSync(join(import.meta.dirname, '../resources.schema.json'), 'utf8'));
const validate = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true }).compile(schema);

const resources = (section: string, member: unknown) =>
  ({ products: [{ tag: product, [section]: [member] }] }) as unknown as Resources;

describe.each(sections)('$section', ({ section, corpus }) => {
  it.each(corpus.valid.map((member) => [JSON.stringify(member).slice(0, 120), member] as const))(
    'takes %s',
    (_, member) => {
      const definition = resources(section, member);
      create({ resources: definition });
      validate(definition);
      expect(validate.errors).toBeNull();
    },
  );

  it.each(corpus.invalid.map((entry) => [entry.path, JSON.stringify(entry.member)?.slice(0, 100), entry] as const))(
    'refuses %s in %s',
    async (path, _, { member, beyondSchema }) => {
      const definition = resources(section, member);
      const error = await rejection(() => create({ resources: definition }));
      expect(error.code).toBe('VALIDATION_ERROR');
      const root = `resources.products[0].${section}[0]`;
      const paths = error.details?.map((problem) => problem.path);
      expect(paths).toContain(path === '' ? root : `${root}.${path}`);
      expect(validate(definition), 'the schema').toBe(beyondSchema ?? false);
    },
  );
});

describe('resources', () => {
  it.each([
    ['resources.product', { product: [] }],
    ['resources.products', { products: {} }],
    ['resources.products[0].tag', { products: [{}] }],
    ['resources.products[0].app', { products: [{ tag: 'p', app: [] }] }],
    ['resources.products[0].apps[0]', { products: [{ tag: 'p', apps: [1] }] }],
  ])('%s is reported by its path', async (path, definition) => {
    const error = await rejection(() => create({ resources: definition as unknown as Resources }));
    expect(error.details?.map((problem) => problem.path)).toContain(path);
    expect(validate(definition)).toBe(false);
  });

  it('are told with all problems of all actions at once', async () => {
    const action = (tag: string, more: object) => ({ tag, operation: 'QUERY', tableName: 't', ...more });
    const database = {
      tag: 'db',
      type: 'sqlite',
      envs: [{ slug: 'prd', connection_url: 'a.db' }],
      actions: [
        action('a', { template: { where: { a: { $gtt: 1 } }, limit: 0, orderBy: { column: 'a', order: 'up' } } }),
        action('b', { filterTemplate: { a: '$Add(1' }, limit: 'x' }),
        action('c:d', {}),
      ],
    };
    const definition = { products: [{ tag: 'p', databases: [database] }] } as unknown as Resources;
    const error = await rejection(() => create({ resources: definition }));
    const at = 'resources.products[0].databases[0].actions';
    const paths = error.details?.map(({ path }) => path.replace(at, '')).sort();
    expect(paths).toEqual([
      '[0].template.limit',
      '[0].template.orderBy',
      '[0].template.where',
      '[1].filterTemplate.a',
      '[1].limit',
      '[2].tag',
    ]);
  });

  it('may contain $schema', () => {
    create({ resources: defineResources({ $schema: './node_modules/ductape/resources.schema.json', products: [] }) });
  });

  it('can be checked when empty', async () => {
    expect(await create().resources.check()).toEqual([]);
    expect((await rejection(create().resources.check({ timeout: -1 }))).details?.[0]?.path).toBe('options.timeout');
  });
});
