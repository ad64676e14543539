INSERT INTO audit (at, id, who, action, detail) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING
