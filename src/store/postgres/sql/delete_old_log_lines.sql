DELETE FROM ductape.logs
USING (
    SELECT given.job, (SELECT max(number) FROM ductape.logs WHERE logs.job = given.job) - 1000 AS number
    FROM (SELECT DISTINCT job FROM unnest($1::bigint[]) AS given (job)) AS given
) AS old
WHERE logs.job = old.job AND logs.number <= old.number
