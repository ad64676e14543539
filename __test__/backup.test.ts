// Backups of a store in a file, and their way back.
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Ductape } from './support/ductape.js';
import { countJobs, create, job, problemPaths, rejection, temporaryFolder } from './support/instances.js';
import { script } from './support/processes.js';

const nothing = undefined as never;

describe('a backup', () => {
  it('is whole while jobs are dispatched and run, and brings the store back', async () => {
    const folder = await temporaryFolder();
    const [store, copy] = [`sqlite:${join(folder, 'jobs.db')}`, join(folder, 'copy.db')];
    const first = create({ store });
    first.features.define('busy', async () => {});
    await first.features.dispatchMany(Array.from({ length: 2_000 }, () => job('busy')));
    const later = first.features.dispatch(
      job('later', { job_id: 'later', schedule: { start_at: Date.now() + 3_600_000 } }),
    );
    await later;
    await first.backup(copy);
    expect((await stat(copy)).mode & 0o777).toBe(process.platform === 'win32' ? 0o666 : 0o600);
    await first.features.dispatch(job('busy', { job_id: 'after' }));
    expect(await rejection(first.backup(copy))).toMatchObject({
      code: 'STORE_ERROR',
      message: expect.stringMatching(/is there already/),
    });
    await first.close();

    await Ductape.restore({ from: copy, to: store });
    expect((await readdir(folder)).sort()).toEqual(['copy.db', 'jobs.db', 'jobs.db-locks']);
    const second = create({ store });
    expect(await countJobs(second)).toBe(2_001);
    expect(await second.jobs.get('later')).toMatchObject({ status: 'scheduled' });
    expect(await rejection(second.jobs.get('after'))).toMatchObject({ code: 'NOT_FOUND' });
    second.features.define('busy', async () => {});
    await second.drain();
    expect(await second.jobs.getStats()).toMatchObject({ completed: 2_000, scheduled: 1 });
  });

  it('is refused where there is no file to copy, and for a path that is none', async () => {
    const folder = await temporaryFolder();
    const memory = create();
    expect(await rejection(memory.backup(join(folder, 'copy.db')))).toMatchObject({
      code: 'STORE_ERROR',
      message: expect.stringMatching(/in memory/),
    });
    const ductape = create({ store: `sqlite:${join(folder, 'jobs.db')}` });
    for (const path of [nothing, '', 5 as never]) {
      const error = await rejection(ductape.backup(path));
      expect([error.code, problemPaths(error)]).toEqual(['VALIDATION_ERROR', ['path']]);
    }
    expect(await rejection(ductape.backup(join(folder, 'absent', 'copy.db')))).toMatchObject({ code: 'STORE_ERROR' });
    await ductape.close();
    expect(await rejection(ductape.backup(join(folder, 'copy.db')))).toMatchObject({ code: 'CLOSED' });
  });
});

describe('restoring', () => {
  it('is refused while a process has the store open, and then possible', async () => {
    const folder = await temporaryFolder();
    const [store, copy] = [`sqlite:${join(folder, 'jobs.db')}`, join(folder, 'copy.db')];
    const ductape = create({ store });
    await ductape.features.dispatch(job('one'));
    await ductape.backup(copy);
    expect(await rejection(Ductape.restore({ from: copy, to: store }))).toMatchObject({
      code: 'STORE_ERROR',
      message: expect.stringMatching(/close all instances/),
    });
    await ductape.close();

    // A process that only dispatches has no registration.
    const other = script(
      `import { Ductape } from 'ductape';
      const ductape = new Ductape({ store: process.argv[1], product: 'shop', env: 'test', worker: false });
      await ductape.features.dispatch({ tag: 'two', input: {} });
      console.log('opened');
      process.stdin.resume();`,
      [store],
    );
    await other.waitForLine('opened');
    expect(await rejection(Ductape.restore({ from: copy, to: store }))).toMatchObject({ code: 'STORE_ERROR' });
    other.process.kill('SIGKILL');
    await other.ended;
    await Ductape.restore({ from: copy, to: store });
    expect(await countJobs(create({ store }))).toBe(1);
  });

  it('takes a backup only, into a file only', async () => {
    const folder = await temporaryFolder();
    const [to, text] = [`sqlite:${join(folder, 'jobs.db')}`, join(folder, 'text')];
    await writeFile(text, 'no store'.repeat(1_000));
    const refusals: [{ from: string; to: string }, string, RegExp][] = [
      [{ from: text, to }, 'STORE_CORRUPT', /text.*no ductape store/],
      [{ from: join(folder, 'absent'), to }, 'STORE_ERROR', /absent/],
      [{ from: text, to: 'memory:' }, 'STORE_ERROR', /in memory/],
      [{ from: text, to: 'postgres://u:secret@127.0.0.1/x' }, 'STORE_ERROR', /pg_restore/],
      [{ from: text, to: 'jobs.db' }, 'VALIDATION_ERROR', /options\.to: .*sqlite:PATH/],
      [{ from: '', to }, 'VALIDATION_ERROR', /from/],
      [{ from: text, to: nothing }, 'VALIDATION_ERROR', /to must be a store/],
      [{ from: nothing, to }, 'VALIDATION_ERROR', /from/],
      [{ from: text, to, force: true } as never, 'VALIDATION_ERROR', /force/],
      [nothing, 'VALIDATION_ERROR', /to must be a store/],
    ];
    for (const [options, code, message] of refusals) {
      expect(await rejection(Ductape.restore(options))).toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    }
    expect((await readdir(folder)).filter((name) => name.startsWith('jobs.db') && !name.endsWith('-locks'))).toEqual(
      [],
    );
  });
});
