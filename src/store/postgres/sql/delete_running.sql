DELETE FROM ductape.running
USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS claim (job, run, token)
WHERE running.job = claim.job AND running.run = claim.run AND running.token = claim.token
