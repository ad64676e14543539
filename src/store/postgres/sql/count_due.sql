SELECT count(*)
FROM (
    (SELECT 1 FROM unnest($1::bigint[]) AS wanted (route)
     CROSS JOIN LATERAL (SELECT 1 FROM ductape.ready WHERE ready.route = wanted.route LIMIT $3) AS found
     LIMIT $3)
    UNION ALL
    (SELECT 1 FROM ductape.scheduled JOIN ductape.jobs ON jobs.seq = scheduled.job
     WHERE scheduled.due <= $2 AND jobs.route = ANY ($1) LIMIT $3)
    UNION ALL
    (SELECT 1 FROM ductape.far JOIN ductape.jobs ON jobs.seq = far.job
     WHERE far.day <= $2 / 86400000 AND jobs.due <= $2 AND jobs.route = ANY ($1) LIMIT $3)
    UNION ALL
    (SELECT 1 FROM ductape.series JOIN ductape.jobs ON jobs.seq = series.job
     WHERE series.next_at <= $2 AND NOT paused AND jobs.route = ANY ($1) LIMIT $3)
) AS due
