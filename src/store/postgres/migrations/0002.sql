-- How many attempts a process runs at once; NULL: it was registered by a version that did not say.
ALTER TABLE ductape.instances ADD COLUMN slots bigint;

-- Runs that crashed so often that they run alone: see `rules::crash`.
CREATE INDEX ready_suspects ON ductape.ready (route, priority, due, job, run) WHERE crashes >= 3;
CREATE INDEX held_suspects ON ductape.held (key, route) WHERE crashes >= 3;
