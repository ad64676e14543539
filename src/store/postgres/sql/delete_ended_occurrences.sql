DELETE FROM ductape.occurrences
USING unnest($1::bigint[], $2::bigint[]) AS ended (job, run)
WHERE occurrences.job = ended.job AND occurrences.run = ended.run
