'use strict';
// `list`: jobs, newest first.

const { EXIT } = require('./exit-codes.js');
const { FILTER_OPTIONS, conditionsOf, matchingJobs, predicateOf, tellUnread } = require('./filters.js');
const { countText, jobColumns, jobsText } = require('./format.js');
const { UsageError } = require('./failure.js');
const { Progress } = require('./progress.js');
const { withStore } = require('./store.js');
const { printTable } = require('./table.js');
const { integer } = require('./values.js');

const PAGE_JOBS = 1_000;

/** A page of any length; what the store cannot test is looked for until the page is full. */
async function page(jobs, { values, out }) {
  const { limit = 100, cursor, offset } = values;
  const conditions = conditionsOf(values);
  const predicate = predicateOf(values);
  if (predicate) {
    if (cursor !== undefined || offset !== undefined || values.count) {
      throw new UsageError('--search and --input do not go with --cursor, --offset and --count');
    }
    const found = [];
    const progress = new Progress(out, 'looking at jobs');
    for await (const job of matchingJobs(jobs, conditions, predicate, (_, seen) => progress.update(seen))) {
      found.push(job);
      if (found.length === limit) break;
    }
    progress.end();
    tellUnread(predicate, out);
    return { jobs: found };
  }
  const result = { jobs: [] };
  let next = cursor;
  do {
    const wanted = Math.min(PAGE_JOBS, limit - result.jobs.length);
    const isFirst = result.jobs.length === 0;
    const start = next === undefined ? { ...(offset !== undefined && { offset }) } : { cursor: next };
    const part = await jobs.list({
      ...conditions,
      ...start,
      limit: wanted,
      ...(isFirst && values.count && { count: true }),
    });
    result.jobs.push(...part.jobs);
    if (part.total !== undefined) Object.assign(result, { total: part.total, total_exact: part.total_exact });
    next = part.next;
  } while (next !== undefined && result.jobs.length < limit);
  return { ...result, ...(next !== undefined && { next }) };
}

module.exports = {
  name: 'list',
  summary: 'lists jobs, newest first',
  about: 'Lists jobs, newest first; all conditions must hold. The exit code is 3 when there is none.',
  usage: '[options]',
  options: {
    ...FILTER_OPTIONS,
    limit: { type: 'string', value: 'N', read: integer(1, 1_000_000), about: 'at most so many; default 100' },
    cursor: { type: 'string', value: 'CURSOR', about: 'goes on after the page before, which said how' },
    offset: { type: 'string', value: 'N', read: integer(0), about: 'leaves out so many first' },
    count: { type: 'boolean', about: 'also counts all that match' },
  },
  examples: [
    'ductape list --status failed --from 24h',
    'ductape list --target app=email-service --search ann@example.com',
    'ductape list --input body.order=456 --json',
  ],
  run: (context) =>
    withStore(context, async ({ jobs }) => {
      const { out, values } = context;
      const found = await page(jobs, context);
      if (out.isJson) {
        out.json(found);
      } else if (found.jobs.length > 0) {
        printTable(jobColumns(out), found.jobs, out);
      }
      if (!out.isJson) {
        if (found.total !== undefined) {
          out.note(`${found.total_exact ? '' : 'about '}${countText(found.total)} match`);
        }
        if (found.next !== undefined) out.note(`more with: --cursor ${found.next}`);
        if (found.jobs.length === 0) out.note('no job matches');
        else if (predicateOf(values)) out.note(`${jobsText(found.jobs.length)} found`);
      }
      return found.jobs.length > 0 ? EXIT.DONE : EXIT.NOT_FOUND;
    }),
};
