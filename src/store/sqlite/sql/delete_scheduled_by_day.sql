DELETE FROM far WHERE day = ?1 AND job = ?2
