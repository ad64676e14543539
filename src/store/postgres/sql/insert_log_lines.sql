INSERT INTO ductape.logs (job, number, run, attempt, at, message)
SELECT given.job,
       coalesce((SELECT max(number) FROM ductape.logs WHERE logs.job = given.job), 0)
           + row_number() OVER (PARTITION BY given.job ORDER BY place),
       run, attempt, at, message
FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[], $5::text[])
     WITH ORDINALITY AS given (job, run, attempt, at, message, place)
