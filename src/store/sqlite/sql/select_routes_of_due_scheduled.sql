SELECT jobs.route FROM scheduled JOIN jobs ON jobs.seq = scheduled.job WHERE scheduled.due <= ?1
