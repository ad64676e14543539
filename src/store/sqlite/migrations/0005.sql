-- Where a process runs, for whoever looks for it, and when it was registered, monotonic ms of its boot; NULL: it was registered by a
-- version that did not say.
ALTER TABLE instances ADD COLUMN host TEXT;
ALTER TABLE instances ADD COLUMN pid INTEGER;
ALTER TABLE instances ADD COLUMN registered INTEGER;
