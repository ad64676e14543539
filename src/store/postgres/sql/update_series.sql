-- A new version is one that no process can remember from commits that the server has lost: it is a time, as of routes.
UPDATE ductape.series
SET spec = $2,
    version = CASE
        WHEN $3 = version THEN version
        ELSE greatest($3, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
    END,
    state = $4,
    ended_at = $5,
    reason = $6,
    next_at = $7,
    held = $8,
    last_at = $9,
    runs = $10,
    ended = $11,
    succeeded = $12,
    failed = $13,
    live_queued = $14,
    live_running = $15,
    live_waiting = $16,
    paused = $17,
    failed_at = $18,
    reruns = $19,
    settled = $20,
    last_run = $21,
    last_status = $22,
    last_ended = $23,
    failing_runs = $24,
    failing_since = $25
WHERE job = $1
