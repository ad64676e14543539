// Databases that are not as one would make them: another encoding, functions of other roles, settings of roles.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { create, env, eventually, job, product, recordingLogger, rejection } from './support/instances.js';
import { server } from './support/stores.js';

async function query(connectionString: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  const { rows } = await client.query(text).finally(() => client.end());
  return rows;
}

/** A store in a database of its own, made with these options and these statements. */
async function ownDatabase(options: string, ...statements: string[]): Promise<string> {
  const name = `ductape_own_${randomUUID().replaceAll('-', '').slice(0, 12)}`;
  const url = new URL(server ?? '');
  url.pathname = `/${name}`;
  await query(server ?? '', `CREATE DATABASE ${name} ${options}`);
  onTestFinished(async () => {
    await query(server ?? '', `DROP DATABASE ${name} WITH (FORCE)`);
  });
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

  it('says so when it is opened, and drops the one log line that it cannot hold', { timeout: 60_000 }, async () => {
    const logger = recordingLogger();
    const ductape = create({ store: await latin1(), logger });
    ductape.features.handle({ product, env }, async (run) => {
      const lines = Array.from({ length: 60 }, (_, at) => (at === 31 ? `${at} 😀` : `${at}`));
      await Promise.all(lines.map((line) => run.log(line)));
    });
    const { job_id } = await ductape.features.dispatch(job('f'));
    await ductape.jobs.wait(job_id, { timeout: 20_000 });
    expect(logger.messagesAt('warn')[0]).toContain('has the encoding LATIN1');
    const logged = (await ductape.jobs.logs(job_id)).map(({ message }) => message);
    expect(logged.sort()).toEqual(
      Array.from({ length: 60 }, (_, at) => `${at}`)
        .filter((line) => line !== '31')
        .sort(),
    );
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

  it('works where all tables are published, and compacts its counters', { timeout: 60_000 }, async () => {
    const store = await ownDatabase('', 'CREATE PUBLICATION everything FOR ALL TABLES');
    await worksThrough(store);
    const logger = recordingLogger();
    const ductape = create({ store, logger });
    ductape.features.handle({ product, env }, () => 1);
    for (let n = 0; n < 300; n++) await ductape.features.dispatch(job('f'));
    await eventually(async () => {
      expect((await ductape.jobs.getStats()).completed).toBe(303);
      const [rows] = await query(store, 'SELECT count(*)::int AS count FROM ductape.counters');
      expect(rows?.count).toBeLessThan(100);
    }, 30_000);
    expect(logger.messagesAt('warn')).toEqual([]);
    await ductape.close();
  });

  it('warns of a role whose commits do not wait for the disk', { timeout: 60_000 }, async () => {
    const store = await ownDatabase('', 'ALTER DATABASE {name} SET synchronous_commit = off');
    for (const [durability, warnings] of [
      ['full', 1],
      ['relaxed', 0],
    ] as const) {
      const logger = recordingLogger();
      const ductape = create({ store, durability, logger, worker: false });
      await ductape.features.dispatch(job('f'));
      const found = logger.messagesAt('warn').filter((line) => line.includes('synchronous_commit'));
      expect(found).toHaveLength(warnings);
      await ductape.close();
    }
  });

  it('needs no more rights than documented', { timeout: 60_000 }, async () => {
    const roles = ['worker', 'dispatcher', 'reader'].map((name) => `ductape_${name}_${randomUUID().slice(0, 8)}`);
    onTestFinished(async () => {
      for (const name of roles) await query(server ?? '', `DROP ROLE IF EXISTS "${name}"`);
    });
    const store = await ownDatabase('');
    await create({ store, worker: false }).jobs.getStats();
    const document = await readFile(new URL('../docs/security.md', import.meta.url), 'utf8');
    const grants = /```sql\n(.*?)```/s.exec(document)?.[1] ?? '';
    const [worker = '', dispatcher = '', reader = ''] = roles.map((name) => {
      const url = new URL(store);
      url.username = name;
      return url.href;
    });
    let text = grants;
    for (const name of roles) text = text.replaceAll(`ductape_${name.split('_')[1]}`, `"${name}"`);
    await query(store, text);
    await worksThrough(worker);
    const sender = create({ store: dispatcher, worker: false });
    const sent = await sender.features.dispatch(
      job('f', { unique: { key: 'once' }, concurrency: { key: 'k', limit: 2 } }),
    );
    await sender.features.dispatch({ ...job('f'), job_id: 'mine', schedule: { cron: '0 3 * * *' } });
    await sender.features.dispatchMany([job('new'), job('f', { schedule: { start_at: Date.now() + 60_000 } })]);
    expect((await rejection(sender.jobs.cancel(sent.job_id))).code).toBe('FORBIDDEN');
    const looking = create({ store: reader, worker: false });
    expect((await looking.jobs.list({})).jobs.length).toBe(8);
    expect((await looking.jobs.get('mine'))?.recurring).toBe(true);
    expect((await looking.jobs.getStats()).total).toBe(8);
    const refused = await rejection(looking.features.dispatch(job('f')));
    expect(refused.code).toBe('FORBIDDEN');
    expect(refused.message).toContain('SELECT, INSERT, UPDATE and DELETE on all tables');
    for (const each of [sender, looking]) await each.close();
  });
});
