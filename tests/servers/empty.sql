-- Makes a server look new. Superusers alone run this script.
select pg_terminate_backend(pid) from pg_stat_activity
where backend_type = 'client backend' and pid <> pg_backend_pid();
do $$
declare
    named name;
begin
    while exists (select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()) loop
        perform pg_sleep(0.001), pg_stat_clear_snapshot();
    end loop;

    for named in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' loop
        execute format('drop schema %I cascade', named);
    end loop;

    alter database postgres owner to postgres;
    for named in select rolname from pg_roles where rolname !~ '^pg_' and rolname <> 'postgres' loop
        execute format('drop owned by %I', named);
        execute format('drop role %I', named);
    end loop;

    create schema public;
    -- Since PostgreSQL 15, `public` is the database owner's.
    if current_setting('server_version_num')::int >= 150000 then
        alter schema public owner to pg_database_owner;
        grant usage on schema public to public;
    else
        grant all on schema public to public;
    end if;
end
$$;
