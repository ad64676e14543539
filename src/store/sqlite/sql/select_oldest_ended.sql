SELECT ended, job FROM ended WHERE status = ?1 AND ended < ?2 ORDER BY ended, job LIMIT ?3
