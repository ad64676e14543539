SELECT running.token
FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS asked (job, run, token)
JOIN ductape.running ON running.job = ANY (ARRAY[asked.job]) AND running.run = asked.run AND running.token = asked.token
WHERE running.owner = $1
