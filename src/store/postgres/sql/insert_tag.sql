INSERT INTO ductape.tags (tag, job) SELECT DISTINCT tag, $2::bigint FROM unnest($1::text[]) AS tags (tag)
