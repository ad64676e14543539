UPDATE series SET state = 0, ended_at = NULL, reason = NULL, failed_at = NULL,
runs = runs + 1, reruns = reruns + 1, version = version + 1 WHERE job = ?1
