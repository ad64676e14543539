-- Which points of a series from next_at on have their place already, and since when it is paused: JSON, NULL: nothing of that.
ALTER TABLE series ADD COLUMN settled TEXT;

-- When a process last renewed its lease, monotonic ms of its boot; NULL: it was registered by a version that did not say.
ALTER TABLE instances ADD COLUMN seen INTEGER;
