// Databases that are not as one would make them: another encoding, functions of other roles, settings of roles.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { create, env, eventually, job, product, rejection } from './support/instances.js';
import { server } from './support/stores.js';

/** A store in a database of its own, made with these options and these statements. */
async function ownDatabase(options: string, ...statements: string[]): Promise<string> {
  const name = `ductape_own_${randomUUID().replaceAll('-', '').slice(0, 12)}`;
  const url = new URL(server ?? '');
  url.pathname = `/${name}`;
  const query = async (connectionString: string | undefined, text: string) => {
    const client = new pg.Client({ connectionString });
    await client.connect();
    await client.query(text).finally(() => client.end());
  };
  await query(server, `CREATE DATABASE ${name} ${options}`);
  onTestFinished(() => query(server, `DROP DATABASE ${name} WITH (FORCE)`));
  for (const statement of statements) await query(url.href, statement.replaceAll('{name}', name));
  return url.href;
}

const latin1 = () => ownDatabase("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");

const title = `a database with the encoding LATIN1${server ? '' : ' (needs DUCTAPE_TEST_POSTGRES)'}`;

describe.skipIf(!server)(title, () => {
  it('refuses the one dispatch that it cannot hold, and takes those of the same moment', {
    timeout: 60_000,
  }, async () => {
    const ductape = create({ store: await latin1(), worker: false });
    await ductape.jobs.getStats();
    const send = (text: string) => ductape.features.dispatch(job('f', { input: { text } }));
    const [first, refused, last] = await Promise.allSettled([send('one'), send('two 😀'), send('three é')]);
    expect([first?.status, last?.status]).toEqual(['fulfilled', 'fulfilled']);
    expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'VALIDATION_ERROR' } });
    expect((refused as PromiseRejectedResult).reason.message).toContain('encoding UTF8');
    const list = ductape.features.dispatchMany([job('f', { input: {} }), job('f', { input: { text: '😀' } })]);
    expect((await rejection(list)).code).toBe('VALIDATION_ERROR');
    expect((await ductape.jobs.list({})).jobs).toHaveLength(2);
    await ductape.close();
  });

  it('ends the one run whose result it cannot hold, and those of the same moment', { timeout: 60_000 }, async () => {
    const ductape = create({ store: await latin1(), worker: { concurrency: 50 } });
    const texts = Array.from({ length: 40 }, (_, at) => (at === 17 || at === 23 ? `${at} 😀` : `${at}`));
    ductape.features.handle({ product, env }, ({ input }) => {
      const text = texts[Number(input.at)] ?? '';
      if (Number(input.at) === 23) throw Object.assign(new Error(text), { code: 'MINE' });
      return text;
    });
    const jobs = texts.map((_, at) => job('f', { input: { at }, retries: 0 }));
    const sent = await ductape.features.dispatchMany(jobs);
    await eventually(async () => {
      const { completed, failed, running } = await ductape.jobs.getStats();
      expect({ completed, failed, running }).toEqual({ completed: 38, failed: 2, running: 0 });
    }, 20_000);
    for (const at of [17, 23]) {
      const ended = await ductape.jobs.get(sent[at]?.job_id ?? '');
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'VALIDATION_ERROR' } });
      expect(ended?.error?.message).toContain('cannot be stored');
    }
    await ductape.close();
  });
});

describe.skipIf(!server)(`a database with settings of its own${server ? '' : ' (needs DUCTAPE_TEST_POSTGRES)'}`, () => {
  /** Dispatches in each way, runs, and looks. */
  async function worksThrough(store: string): Promise<void> {
    const ductape = create({ store });
    ductape.features.handle({ product, env }, async (run) => {
      await run.step('once', () => 1);
      await run.log('said');
      if (run.input.fails && run.attempt === 1) throw new Error('as told');
      return run.input;
    });
    const one = await ductape.features.dispatch(job('f', { input: { n: 1 }, concurrency: { key: 'k', limit: 1 } }));
    const tagged = [job('f', { input: { n: 2 } }), job('f', { input: { fails: true }, retries: 1 })];
    const many = await ductape.features.dispatchMany(tagged);
    const later = await ductape.features.dispatch(job('f', { schedule: { every: 3_600_000 } }));
    for (const { job_id } of [one, ...many]) await ductape.jobs.wait(job_id, { timeout: 20_000 });
    expect((await ductape.jobs.list({})).jobs).toHaveLength(4);
    await ductape.jobs.cancel(later.job_id);
    expect((await ductape.jobs.getHistory(many[1]?.job_id ?? '')).executions).toHaveLength(2);
    await ductape.close();
  }

  it('calls no function that another role has made', { timeout: 60_000 }, async () => {
    const trap = (signature: string, result: string) =>
      `CREATE FUNCTION public.${signature} RETURNS ${result} LANGUAGE plpgsql AS
       'BEGIN RAISE EXCEPTION ''called as %'', current_user; END'`;
    const store = await ownDatabase(
      '',
      trap('cardinality(bigint[])', 'integer'),
      trap('cardinality(integer[])', 'integer'),
      trap('array_remove(text[], text)', 'text[]'),
      trap('unnest(bigint[])', 'SETOF bigint'),
      trap('unnest(text[])', 'SETOF text'),
      trap('generate_series(integer, bigint)', 'SETOF bigint'),
      trap('json_array_elements_text(text)', 'SETOF text'),
    );
    await worksThrough(store);
  });

  it.each(['repeatable read', 'serializable'])(
    'works where transactions are %s',
    { timeout: 60_000 },
    async (level) => {
      const store = await ownDatabase('', `ALTER DATABASE {name} SET default_transaction_isolation = '${level}'`);
      await Promise.all([worksThrough(store), create({ store, worker: false }).jobs.getStats()]);
    },
  );
});
