-- The number of the run of a series that failed last, behind the steps that run $2 has of it.
INSERT INTO ductape.steps (job, run, tag)
SELECT $1, $2, $4::text || run FROM ductape.runs WHERE job = $1 AND status = $3 ORDER BY ended DESC, run DESC LIMIT 1
