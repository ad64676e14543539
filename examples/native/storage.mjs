// Files in a folder that is made for this run and removed after it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Needs no server. */
export const address = undefined;

let root;

export async function resources() {
  root = await mkdtemp(join(tmpdir(), 'ductape-files-'));
  return {
    storage: [
      {
        tag: 'documents',
        envs: [{ slug: 'prd', type: 'local', config: { root } }],
        events: [
          { tag: 'save', operation: 'upload', path: 'invoices', maxBytes: 5_000_000 },
          { tag: 'read', operation: 'download', path: 'invoices' },
          { tag: 'list', operation: 'listFiles', path: 'invoices' },
          { tag: 'drop', operation: 'remove', path: 'invoices' },
        ],
      },
    ],
  };
}

export async function run(ductape, log) {
  const done = async (event, input) => {
    const { job_id } = await ductape.storage.dispatch({ storage: 'documents', event, input });
    return ductape.jobs.wait(job_id);
  };
  for (const number of [1, 2, 3]) {
    const { path, fileName, size } = await done('save', {
      fileName: `inv-${number}.txt`,
      buffer: Buffer.from(`invoice ${number}: 99.90 EUR`),
    });
    log(`saved ${path}/${fileName}, ${size} bytes`);
  }
  const { files, next } = await done('list', { fileName: 'inv-', limit: 2 });
  log('listed', files.map((file) => file.fileName).join(', '), 'and more after', next);
  const { buffer } = await done('read', { fileName: 'inv-2.txt' });
  log('read:', Buffer.from(buffer, 'base64').toString());
  log('removed:', await done('drop', { fileName: 'inv-2.txt' }), await done('drop', { fileName: 'inv-2.txt' }));
  await done('read', { fileName: '../../etc/passwd' }).catch(({ code, message }) =>
    log(`refused: ${code}: ${message}`),
  );
}

export async function close() {
  await rm(root, { recursive: true, force: true });
}
