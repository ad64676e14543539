-- The grace of the schedule only of a run that is late, for which it matters.
SELECT scheduled_at, missed,
    CASE WHEN scheduled_at < ?3 THEN (SELECT coalesce(spec ->> 'grace', ?4) FROM series WHERE series.job = ?1) END
FROM occurrences
WHERE job = ?1 AND run = ?2
