SELECT id FROM routes WHERE namespace = ?1 AND product = ?2 AND env = ?3 AND target = ?4
