DELETE FROM ductape.uniques
USING ductape.jobs
WHERE jobs.seq = $1 AND jobs.options LIKE '%"unique"%' AND uniques.route = jobs.route
  AND uniques.key = (CASE WHEN jobs.options LIKE '%"unique"%' THEN jobs.options::json -> 'unique' ->> 'key' END)
  AND uniques.job = jobs.seq
