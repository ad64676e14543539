SELECT jobs.route FROM series JOIN jobs ON jobs.seq = series.job WHERE series.next_at <= ?1 AND paused = 0
