UPDATE series
SET ended = ended + 1,
    succeeded = succeeded + ?2,
    failed = failed + ?3,
    failed_at = CASE WHEN ?3 > 0 THEN ?4 ELSE failed_at END
WHERE job = ?1
RETURNING next_at, held
