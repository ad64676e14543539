DELETE FROM ready WHERE route = ?1 AND priority = ?2 AND due = ?3 AND job = ?4 AND run = ?5
