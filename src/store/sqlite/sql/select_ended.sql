SELECT job FROM ended WHERE status = ?1
