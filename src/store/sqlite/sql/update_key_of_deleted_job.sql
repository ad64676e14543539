UPDATE uniques SET id = ?3, status = ?4, due = ?5, recurring = ?6 WHERE route = ?1 AND key = ?2
