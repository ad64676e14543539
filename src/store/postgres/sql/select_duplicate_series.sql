SELECT DISTINCT ON (wanted.fingerprint, wanted.route) wanted.fingerprint, wanted.route, jobs.id, jobs.name
FROM unnest($1::bigint[], $2::bigint[]) AS wanted (fingerprint, route)
JOIN ductape.series ON series.fingerprint = wanted.fingerprint AND series.state = 0
JOIN ductape.jobs ON jobs.seq = series.job AND jobs.route = wanted.route
ORDER BY wanted.fingerprint, wanted.route, jobs.seq
