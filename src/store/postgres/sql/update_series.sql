-- A new version is one that no process can remember from commits that the server has lost: it is a time, as of routes.
UPDATE ductape.series
SET spec = new.spec,
    version = CASE
        WHEN new.version = series.version THEN series.version
        ELSE greatest(new.version, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
    END,
    state = new.state,
    ended_at = new.ended_at,
    reason = new.reason,
    next_at = new.next_at,
    held = new.held,
    last_at = new.last_at,
    runs = new.runs,
    ended = new.ended,
    succeeded = new.succeeded,
    failed = new.failed,
    live_queued = new.live_queued,
    live_running = new.live_running,
    live_waiting = new.live_waiting,
    paused = new.paused,
    failed_at = new.failed_at,
    reruns = new.reruns,
    settled = new.settled,
    last_run = new.last_run,
    last_status = new.last_status,
    last_ended = new.last_ended,
    failing_runs = new.failing_runs,
    failing_since = new.failing_since
FROM unnest(
    $1::bigint[], $2::text[], $3::bigint[], $4::integer[], $5::bigint[], $6::text[], $7::bigint[], $8::boolean[], $9::bigint[],
    $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::boolean[],
    $18::bigint[], $19::bigint[], $20::text[], $21::bigint[], $22::integer[], $23::bigint[], $24::bigint[], $25::bigint[]
) AS new (
    job, spec, version, state, ended_at, reason, next_at, held, last_at,
    runs, ended, succeeded, failed, live_queued, live_running, live_waiting, paused,
    failed_at, reruns, settled, last_run, last_status, last_ended, failing_runs, failing_since
)
WHERE series.job = new.job
