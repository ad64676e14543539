SELECT occurrences.run, occurrences.due
FROM occurrences
LEFT JOIN running ON running.job = occurrences.job AND running.run = occurrences.run
WHERE occurrences.job = ?1
ORDER BY running.run IS NULL, occurrences.run
LIMIT 1
