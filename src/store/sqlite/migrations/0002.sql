-- How many attempts a process runs at once; NULL: it was registered by a version that did not say.
ALTER TABLE instances ADD COLUMN slots INTEGER;

-- Runs that crashed so often that they run alone: see `rules::crash`.
CREATE INDEX ready_suspects ON ready (route, priority, due, job, run) WHERE crashes >= 3;
