-- What was changed on request, and by whom.
CREATE TABLE ductape.audit (
    at     bigint NOT NULL,
    id     text NOT NULL,
    who    text NOT NULL,
    action text NOT NULL,
    detail text NOT NULL, -- JSON
    PRIMARY KEY (at, id)
);
-- What a process is: the version of the package, and a JSON list of its handlers; NULL: it has not said so, or was registered by a
-- version that did not say.
ALTER TABLE ductape.instances ADD COLUMN version text;
ALTER TABLE ductape.instances ADD COLUMN handlers text;
