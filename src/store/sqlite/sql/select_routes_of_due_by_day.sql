SELECT jobs.route FROM far JOIN jobs ON jobs.seq = far.job WHERE far.day <= ?1 / 86400000 AND jobs.due <= ?1
