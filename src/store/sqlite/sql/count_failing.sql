-- The order of a CROSS JOIN is kept: few series fail.
SELECT route, count(*)
FROM series CROSS JOIN jobs ON seq = job
WHERE failing_runs > 0
GROUP BY +route
