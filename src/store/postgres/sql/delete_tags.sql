DELETE FROM ductape.tags
USING ductape.jobs,
      json_array_elements_text(
          CASE WHEN jobs.options LIKE '%"tags"%' THEN jobs.options::json -> 'tags' ELSE '[]' END
      ) AS given (tag)
WHERE jobs.seq = $1 AND tags.tag = given.tag AND tags.job = $1
