-- Where a process runs, for whoever looks for it, and when it was registered, ms of the server's clock; NULL: it was registered by a
-- version that did not say.
ALTER TABLE ductape.instances ADD COLUMN host text;
ALTER TABLE ductape.instances ADD COLUMN pid bigint;
ALTER TABLE ductape.instances ADD COLUMN registered bigint;
