UPDATE series
SET ended = ended + 1,
    succeeded = succeeded + ?2,
    failed = failed + ?3
WHERE job = ?1
RETURNING next_at, held
