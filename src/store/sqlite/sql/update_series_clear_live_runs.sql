UPDATE series SET ended = ended + ?2, live_queued = 0, live_running = 0, live_waiting = 0 WHERE job = ?1
