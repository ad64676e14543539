-- What was changed on request, and by whom.
CREATE TABLE audit (
    at     INTEGER NOT NULL,
    id     TEXT NOT NULL,
    who    TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL, -- JSON
    PRIMARY KEY (at, id)
) WITHOUT ROWID;
-- What a process is: the version of the package, and a JSON list of its handlers; NULL: it has not said so, or was registered by a
-- version that did not say.
ALTER TABLE instances ADD COLUMN version TEXT;
ALTER TABLE instances ADD COLUMN handlers TEXT;
