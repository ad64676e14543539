// What every habitat runs: a job from a store in a file, a page of the dashboard, an error of the package's own.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Ductape, { DuctapeError } from 'ductape';

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'ductape-habitat-store-'));
  const ductape = new Ductape({ store: `sqlite:${join(folder, 'jobs.db')}`, product: 'shop', env: 'test' });
  ductape.features.define('greet', (job) => `hello ${job.input.name}`);
  const { job_id } = await ductape.features.dispatch({ tag: 'greet', input: { name: 'Ann' } });
  const ran = await ductape.jobs.wait(job_id, { timeout: 60_000 });

  const server = createServer(ductape.dashboard());
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const page = await fetch(`http://127.0.0.1:${server.address().port}/`).catch(() => undefined);
  await page?.text();
  server.closeAllConnections?.();
  server.close();

  const error = await ductape.jobs.get('none').catch((reason) => reason instanceof DuctapeError && reason.code);
  await ductape.close();
  rmSync(folder, { recursive: true, force: true });
  console.log(JSON.stringify({ ran, dashboard: page?.status, error }));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
