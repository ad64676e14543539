// Files in a folder that is made for this run and removed after it; and in a bucket of S3, where DUCTAPE_TEST_S3 names one.
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Needs no server. */
export const address = undefined;

/** As in http://key:secret@127.0.0.1:9000/bucket. */
const bucket = process.env.DUCTAPE_TEST_S3 && new URL(process.env.DUCTAPE_TEST_S3);

let root;

/** The events are the same, wherever the files are. */
const events = (path) => [
  { tag: 'save', operation: 'upload', path, maxBytes: 5_000_000 },
  { tag: 'read', operation: 'download', path },
  { tag: 'list', operation: 'listFiles', path },
  { tag: 'drop', operation: 'remove', path },
  { tag: 'share', operation: 'getSignedUrl', path },
];

export async function resources() {
  root = await mkdtemp(join(tmpdir(), 'ductape-files-'));
  const local = { slug: 'prd', type: 'local', config: { root } };
  const storage = [{ tag: 'documents', envs: [local], events: events('invoices') }];
  if (bucket) {
    const config = {
      bucketName: bucket.pathname.slice(1),
      region: 'us-east-1',
      endpoint: bucket.origin,
      accessKeyId: bucket.username,
      secretAccessKey: bucket.password,
    };
    const envs = [{ slug: 'prd', type: 'aws', config }];
    storage.push({ tag: 'archive', envs, events: events(`example-${randomUUID()}`) });
  }
  return { storage };
}

export async function run(ductape, log) {
  await keep(ductape, log, 'documents');
  if (bucket) await keep(ductape, log, 'archive');
}

async function keep(ductape, log, storage) {
  const done = async (event, input) => {
    const { job_id } = await ductape.storage.dispatch({ storage, event, input });
    return ductape.jobs.wait(job_id);
  };
  for (const number of [1, 2, 3]) {
    const { path, fileName, size } = await done('save', {
      fileName: `inv-${number}.txt`,
      buffer: Buffer.from(`invoice ${number}: 99.90 EUR`),
    });
    log(`saved ${path}/${fileName}, ${size} bytes`);
  }
  const { files, hasMore } = await done('list', { prefix: 'inv-', limit: 2 });
  log('listed', files.map((file) => file.fileName).join(', '), hasMore ? 'and there are more' : '');
  const { buffer } = await done('read', { fileName: 'inv-2.txt' });
  log('read:', Buffer.from(buffer, 'base64').toString());
  if (storage === 'archive') {
    const { url } = await done('share', { fileName: 'inv-2.txt', expiresIn: 60 });
    log('read by others:', await (await fetch(url)).text());
  }
  log('removed:', await done('drop', { fileName: 'inv-2.txt' }), await done('drop', { fileName: 'inv-2.txt' }));
  await done('read', { fileName: '../../etc/passwd' }).catch(({ code, message }) =>
    log(`refused: ${code}: ${message}`),
  );
  for (const number of [1, 3]) await done('drop', { fileName: `inv-${number}.txt` });
}

export async function close() {
  await rm(root, { recursive: true, force: true });
}
