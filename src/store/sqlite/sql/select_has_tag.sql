SELECT 1 FROM tags WHERE tag = ?1 AND job = ?2
