DELETE FROM instances WHERE id = ?1
