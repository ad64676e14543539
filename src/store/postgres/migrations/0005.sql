-- Which points of a series from next_at on have their place already, and since when it is paused: JSON, NULL: nothing of that.
ALTER TABLE ductape.series ADD COLUMN settled text;

-- When a process last renewed its lease, ms of the server's clock; NULL: it was registered by a version that did not say.
ALTER TABLE ductape.instances ADD COLUMN seen bigint;
