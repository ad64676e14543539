// A test that does not close its instance.
const Ductape = require('ductape');

it('is not closed', async () => {
  const ductape = new Ductape({ store: 'memory:', product: 'test', env: 'test' });
  ductape.features.define('greet', (job) => job.input);
  const { job_id } = await ductape.features.dispatch({ tag: 'greet', input: {} });
  await ductape.jobs.wait(job_id);
});
