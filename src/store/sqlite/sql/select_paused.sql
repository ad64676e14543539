SELECT job FROM paused UNION ALL SELECT job FROM series WHERE paused = 1
