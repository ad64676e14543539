UPDATE series
SET live_queued = live_queued + ?2,
    live_running = live_running + ?3,
    live_waiting = live_waiting + ?4
WHERE job = ?1
RETURNING live_queued, live_running, live_waiting, paused
