DELETE FROM uniques WHERE route = ?1 AND key = ?2 AND job = ?3
