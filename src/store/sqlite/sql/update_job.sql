UPDATE jobs
SET route = ?2,
    priority = ?3,
    due = ?4,
    retries = ?5,
    run = ?6,
    updated = ?7,
    options = ?8,
    input = ?9,
    key = ?10
WHERE seq = ?1
