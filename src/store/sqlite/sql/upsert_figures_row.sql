INSERT INTO figures (span, at, route, figures) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET figures = excluded.figures
