SELECT running, max FROM keys WHERE id = ?1
