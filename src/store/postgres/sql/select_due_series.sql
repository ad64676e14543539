SELECT series.job, jobs.id, jobs.name, version, spec, next_at, runs - reruns, live_queued + live_running + live_waiting,
       settled, runs, NULL::bigint,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint
FROM ductape.series
JOIN ductape.jobs ON jobs.seq = series.job
WHERE next_at <= $1 AND NOT paused AND (NOT held OR live_queued + live_running + live_waiting = 0)
    AND NOT EXISTS (
        SELECT FROM unnest($3::bigint[], $4::bigint[]) AS passed_over (job, version)
        WHERE passed_over.job = series.job AND passed_over.version = series.version
    )
ORDER BY next_at
LIMIT $2
