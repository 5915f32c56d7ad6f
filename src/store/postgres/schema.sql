CREATE TABLE {table} (
    account         pg_catalog.text COLLATE pg_catalog."C" PRIMARY KEY,
    format          bigint,
    version         bigint,
    access_token    pg_catalog.text,
    issued_at_ms    bigint,
    lifetime_ms     bigint,
    refresh_token   pg_catalog.text,
    presented_at_ms bigint,
    refused_at_ms   bigint,
    lineage         pg_catalog.text,
    lease_owner     pg_catalog.text,
    lease_until     pg_catalog.timestamptz
)
