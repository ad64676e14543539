UPDATE instances SET lease = ?2, seen = ?4 WHERE id = ?1 AND boot = ?3
