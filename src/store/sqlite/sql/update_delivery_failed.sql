UPDATE webhooks SET failed = ?2, last_error = ?3, failed_count = failed_count + ?4,
disabled = CASE WHEN updated = ?5 THEN coalesce(disabled, ?2) ELSE disabled END WHERE id = ?1
