SELECT 1 FROM uniques WHERE route = ?1 AND key = ?2 AND job = ?3 AND until > ?4
