UPDATE series SET paused = 1, version = version + 1 WHERE job = ?1
