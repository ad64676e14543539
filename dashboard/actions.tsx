// What can be done to jobs: what it is called, what it will do, and how it is taken back.
import { change, get } from './api';
import { ask } from './parts/dialog';
import { toast } from './parts/toasts';
import { zone } from './settings';
import { count, counted, inputMoment, momentOfInput, routeQuery, targetText } from './text';
import type { BulkAction, BulkAnswer, FailureGroup, IJob, JobAction, JobPage, ListedJob, Undo } from './types';

type AnyJob = ListedJob | IJob;

interface Act {
  label: string;
  /** Of a job that is one-off, and of a recurring one. */
  says: (job: AnyJob) => string;
  done: string;
  isDangerous?: boolean;
  /** What takes it back, when the server names nothing. */
  asks?: 'reason' | 'delay' | 'count' | 'schedule';
}

export const ACTS: Record<JobAction, Act> = {
  'run-now': {
    label: 'Run now',
    says: (job) =>
      job.recurring
        ? 'Makes a run besides those of the schedule, which stays as it is.'
        : 'The job waits for its time no longer: it starts as soon as a worker has room.',
    done: 'It runs as soon as a worker has room',
  },
  retry: {
    label: 'Retry',
    says: (job) =>
      job.recurring
        ? 'Runs the last run that failed again, with all its retries.'
        : 'Runs the job again, as its next run and with all its retries.',
    done: 'It is tried again',
    asks: 'delay',
  },
  pause: {
    label: 'Pause',
    says: (job) =>
      job.recurring
        ? 'No run starts until it is resumed. Times that pass meanwhile are skipped.'
        : 'No attempt starts until it is resumed.',
    done: 'Paused',
  },
  resume: {
    label: 'Resume',
    says: (job) =>
      job.recurring
        ? 'It goes on with its first time from now on; what it has missed is not made up for.'
        : 'It goes on when it is due, which may be at once.',
    done: 'Resumed',
  },
  reschedule: {
    label: 'Reschedule',
    says: (job) =>
      job.recurring
        ? 'Changes when it runs. History and counts stay, and a run that is going goes on.'
        : 'Gives the job another time.',
    done: 'Rescheduled',
    asks: 'schedule',
  },
  'skip-next': {
    label: 'Skip next',
    says: () => 'Passes over the next times; its history shows them as skipped.',
    done: 'Skipped',
    asks: 'count',
  },
  'cancel-run': {
    label: 'Cancel run',
    says: () => 'Ends only the run that is going, or the oldest that waits. The job goes on.',
    done: 'The run is cancelled',
    isDangerous: true,
    asks: 'reason',
  },
  cancel: {
    label: 'Cancel',
    says: (job) =>
      job.recurring
        ? 'Ends the job with all its future runs. A run that is going is aborted.'
        : 'Ends the job. If it is running, it is aborted.',
    done: 'Cancelled',
    isDangerous: true,
    asks: 'reason',
  },
  delete: {
    label: 'Delete',
    says: () => 'Deletes the job with its history, log and results. This cannot be undone.',
    done: 'Deleted',
    isDangerous: true,
  },
};

export const BULK_ACTIONS: readonly BulkAction[] = ['retry', 'pause', 'resume', 'cancel', 'delete'];

const Field = ({ name, label, ...rest }: { name: string; label: string; [attribute: string]: unknown }) => (
  <label class="field">
    <span>{label}</span>
    <input name={name} autocomplete="off" {...rest} />
  </label>
);

function fieldsOf(job: AnyJob, asks: Act['asks']) {
  if (asks === 'reason') return <Field name="reason" label="Reason (kept with the job)" maxLength={500} />;
  if (asks === 'delay')
    return <Field name="delay" label="Wait before it, in seconds" type="number" min={0} value="0" />;
  if (asks === 'count') return <Field name="count" label="How many" type="number" min={1} max={1000} value="1" />;
  if (asks !== 'schedule') return null;
  const utc = zone.get() === 'utc';
  const start = (
    <Field
      name="start_at"
      type="datetime-local"
      label={`${job.recurring ? 'First time' : 'Time'} (${utc ? 'UTC' : 'local'})`}
      value={job.recurring ? '' : inputMoment(job.scheduled_at, utc)}
      required={!job.recurring}
    />
  );
  if (!job.recurring) return start;
  return (
    <>
      <p class="hint">Give one of the first three; what is left empty stays as it is.</p>
      <Field name="cron" label="Cron" placeholder="0 3 * * *" value={job.cron ?? ''} />
      <Field
        name="every"
        label="Every, in seconds"
        type="number"
        min={0.001}
        step="any"
        value={job.every ? job.every / 1_000 : ''}
      />
      <Field name="interval" label="Calendar interval" placeholder="P1M" value={job.interval ?? ''} />
      <Field name="tz" label="Time zone" placeholder="Europe/Berlin" value={job.tz ?? ''} />
      {start}
    </>
  );
}

/** The part of a schedule that was changed. */
function changesOf(job: AnyJob, values: Record<string, string>): Record<string, unknown> {
  const changes: Record<string, unknown> = {};
  const start = momentOfInput(values.start_at ?? '', zone.get() === 'utc');
  if (start !== undefined) changes.start_at = start;
  if (values.cron && values.cron !== job.cron) changes.cron = values.cron;
  if (values.every && Number(values.every) * 1_000 !== job.every) changes.every = Number(values.every) * 1_000;
  if (values.interval && values.interval !== job.interval) changes.interval = values.interval;
  if (values.tz && values.tz !== job.tz) changes.tz = values.tz;
  return changes;
}

function bodyOf(job: AnyJob, asks: Act['asks'], values: Record<string, string>): Record<string, unknown> {
  if (asks === 'reason') return values.reason ? { reason: values.reason } : {};
  if (asks === 'delay') return { delay: Math.round(Number(values.delay ?? 0) * 1_000) };
  if (asks === 'count') return { count: Number(values.count ?? 1) };
  if (asks !== 'schedule') return {};
  const changes = changesOf(job, values);
  if (Object.keys(changes).length === 0) throw new Error('nothing was changed');
  return { changes };
}

const labelOf = (job: AnyJob) => `${job.namespace} ${targetText(job.target)}`;

const problem = (error: unknown) => toast({ text: (error as Error).message, isProblem: true });

function undoLink(action: JobAction | BulkAction, run: () => Promise<unknown>, after: () => void) {
  return {
    label: `Undo: ${ACTS[action].label.toLowerCase()}`,
    run: () => {
      run()
        .then(() => {
          toast({ text: 'Undone' });
          after();
        })
        .catch(problem);
    },
  };
}

/** Asks, then does it. `after` is called once it is done, and after an undo. */
export function actOn(job: AnyJob, action: JobAction, after: (gone: boolean) => void): void {
  const act = ACTS[action];
  const path = (name: string) => `jobs/${encodeURIComponent(job.id)}/${name}`;
  ask({
    title: `${act.label}: ${labelOf(job)}`,
    body: (
      <>
        <p>{act.says(job)}</p>
        <p class="muted">
          Job <code>{job.id}</code>
        </p>
      </>
    ),
    fields: fieldsOf(job, act.asks),
    confirm: act.label,
    ...(act.isDangerous && { isDangerous: true }),
    run: async (values) => {
      const { undo } = await change<{ undo?: Undo }>('POST', path(action), bodyOf(job, act.asks, values));
      toast({
        text: `${act.done}: ${labelOf(job)}`,
        ...(undo && {
          undo: undoLink(
            undo.action,
            () => change('POST', path(undo.action), undo.body),
            () => after(false),
          ),
        }),
      });
      after(action === 'delete');
    },
  });
}

/** Which jobs a change of many is about. */
export type BulkSubject = { ids: string[] } | { filter: Record<string, unknown> };

const PAST: Record<BulkAction, string> = {
  retry: 'are tried again',
  pause: 'paused',
  resume: 'resumed',
  cancel: 'cancelled',
  delete: 'deleted',
};

const BULK_SAYS: Record<BulkAction, string> = {
  retry: 'Those that failed or were cancelled run again, with all their retries. Others are passed over.',
  pause: 'No attempt of them starts until they are resumed. Those that have ended or are running once are passed over.',
  resume: 'Those that are paused go on. Others are passed over.',
  cancel: 'Those that have not ended are ended, recurring ones with all their future runs. Running ones are aborted.',
  delete:
    'They are deleted with their histories, logs and results. This cannot be undone. Running ones are passed over.',
};

const encoder = new TextEncoder();
/** Bytes of ids in one request, and how many of them: web servers take bodies of 100 kB. */
const BYTES_AT_ONCE = 60_000;
const IDS_AT_ONCE = 2_000;

/** One request after the other, until all are done. `tell` is told how many have been changed. */
async function changeAll(action: BulkAction, subject: BulkSubject, tell: (done: number) => void) {
  let done = 0;
  let undo: BulkAnswer['undo'];
  const parts: BulkSubject[] = 'ids' in subject ? slices(subject.ids).map((ids) => ({ ids })) : [subject];
  for (const part of parts) {
    let body: object | undefined = { action, ...part };
    while (body) {
      const answer: BulkAnswer = await change<BulkAnswer>('POST', 'bulk', body);
      done += answer.count;
      if (answer.undo) undo = { action: answer.undo.action, ids: [...(undo?.ids ?? []), ...answer.undo.ids] };
      tell(done);
      body = answer.next;
    }
  }
  return { done, undo };
}

function slices(ids: readonly string[]): string[][] {
  const parts: string[][] = [];
  let [part, bytes]: [string[], number] = [[], 0];
  for (const id of ids) {
    const length = encoder.encode(JSON.stringify(id)).length + 1;
    if (part.length === IDS_AT_ONCE || (part.length > 0 && bytes + length > BYTES_AT_ONCE)) {
      parts.push(part);
      [part, bytes] = [[], 0];
    }
    part.push(id);
    bytes += length;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

/** Counts first, asks, then does it. */
export async function actOnMany(
  action: BulkAction,
  subject: BulkSubject,
  what: string,
  after: () => void,
): Promise<void> {
  let found: BulkAnswer;
  try {
    found =
      'ids' in subject
        ? { count: subject.ids.length }
        : await change<BulkAnswer>('POST', 'bulk', { action, ...subject, dry_run: true });
  } catch (error) {
    problem(error);
    return;
  }
  const { label, isDangerous } = ACTS[action];
  const about = `${found.exact === false ? 'about ' : ''}${counted(found.count, 'job')}`;
  if (found.count === 0) {
    ask({
      title: `${label}: nothing to do`,
      body: <p>None of {what} can be changed like this now.</p>,
      confirm: 'All right',
    });
    return;
  }
  ask({
    title: `${label} ${about}`,
    body: (
      <>
        <p>
          {what[0]?.toUpperCase()}
          {what.slice(1)}.
        </p>
        <p>{BULK_SAYS[action]}</p>
      </>
    ),
    confirm: `${label} ${about}`,
    total: found.count,
    ...(isDangerous && { isDangerous: true }),
    run: async (_values, tell) => {
      const { done, undo } = await changeAll(action, subject, tell);
      toast({
        text: `${count(done)} ${done === 1 ? 'job' : 'jobs'} ${PAST[action]}`,
        ...(undo && {
          undo: undoLink(undo.action, () => changeAll(undo.action, { ids: undo.ids }, () => {}), after),
        }),
      });
      after();
    },
  });
}

/** At most so many jobs of a group are gathered: the rest is another round. */
const GATHERED = 50_000;

/**
 * All failed jobs of a group. A list knows no codes: its pages are looked through. Where all of the target's have this one, conditions
 * say the same, and are several times as fast as ids.
 */
export async function failuresOf(group: FailureGroup, tell: (seen: number) => void): Promise<BulkSubject> {
  const { namespace, product, env, target, recurring, code } = group;
  const ids: string[] = [];
  let cursor: string | undefined;
  let seen = 0;
  do {
    const page: JobPage = await get<JobPage>('jobs', {
      ...routeQuery(group),
      ...(recurring ? { failing: true } : { status: ['failed'], recurring: false }),
      limit: 200,
      cursor,
    });
    for (const job of page.jobs) {
      const error = recurring ? (job.last_run?.error ?? job.error) : job.error;
      if ((error?.code ?? 'Error') === code) ids.push(job.id);
    }
    seen += page.jobs.length;
    tell(seen);
    cursor = page.next;
  } while (cursor !== undefined && ids.length < GATHERED);
  if (cursor !== undefined || ids.length < seen) return { ids };
  const conditions = recurring ? { failing: true } : { status: ['failed'], recurring: false };
  return { filter: { namespace, product, env, target, ...conditions } };
}
