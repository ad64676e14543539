SELECT
    attribute.attname::text,
    CASE
        WHEN base.typcategory = 'A' THEN 'array'
        WHEN base.typname = 'jsonb' THEN 'jsonb'
        -- Money is of this category too, and has arithmetic of its own.
        WHEN base.typcategory = 'N' AND base.typname <> 'money' THEN 'number'
        WHEN base.typcategory IN ('S', 'E', 'B', 'D') THEN base.typcategory::text
        WHEN base.typname IN ('bytea', 'uuid') THEN base.typname::text
        ELSE 'other'
    END
FROM pg_attribute AS attribute
JOIN pg_type AS own ON own.oid = attribute.atttypid
JOIN pg_type AS base ON base.oid = CASE WHEN own.typtype = 'd' THEN own.typbasetype ELSE own.oid END
WHERE attribute.attrelid = to_regclass($1)
  AND attribute.attnum > 0
  AND NOT attribute.attisdropped
