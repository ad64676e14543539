SELECT series.job, jobs.id, version, spec, next_at, runs - reruns, live_queued + live_running + live_waiting, settled, runs, NULL
FROM series
JOIN jobs ON jobs.seq = series.job
WHERE next_at <= ?1 AND paused = 0 AND (held = 0 OR live_queued + live_running + live_waiting = 0)
    AND (?3 IS NULL OR NOT EXISTS (
        SELECT 1 FROM json_each(?3) AS passed_over
        WHERE passed_over.value ->> 0 = series.job AND passed_over.value ->> 1 = version
    ))
ORDER BY next_at
LIMIT ?2
