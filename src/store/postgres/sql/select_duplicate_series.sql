-- `OFFSET 0` keeps each table a query of its own, and the order within makes its index the one to use: else a plan that was made while
-- there were few series compares each that is asked for with all of them.
SELECT DISTINCT ON (wanted.fingerprint, wanted.route) wanted.fingerprint, wanted.route, found.id, found.name
FROM unnest($1::bigint[], $2::bigint[]) AS wanted (fingerprint, route)
CROSS JOIN LATERAL (
    SELECT job FROM ductape.series
    WHERE series.fingerprint >= wanted.fingerprint AND series.fingerprint <= wanted.fingerprint AND series.state = 0
    ORDER BY series.fingerprint
    OFFSET 0
) AS same
CROSS JOIN LATERAL (
    SELECT seq, id, name FROM ductape.jobs WHERE jobs.seq = same.job AND jobs.route = wanted.route OFFSET 0
) AS found
ORDER BY wanted.fingerprint, wanted.route, found.seq
