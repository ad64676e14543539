SELECT jobs.id
FROM series
JOIN jobs ON jobs.seq = series.job
WHERE series.fingerprint = ?1 AND series.state = 0 AND jobs.route = ?2
LIMIT 1
