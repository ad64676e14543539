INSERT INTO ductape.progress (job, value)
SELECT * FROM unnest($1::bigint[], $2::text[])
ON CONFLICT (job) DO UPDATE SET value = excluded.value
