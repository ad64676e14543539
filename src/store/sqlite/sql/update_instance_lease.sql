UPDATE instances SET lease = ?2 WHERE id = ?1 AND boot = ?3
