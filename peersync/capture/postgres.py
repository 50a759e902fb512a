"""Triggers on PostgreSQL: one generated function per table, one row trigger, one for TRUNCATE.

The function belongs to whoever installs it and runs with that role's rights, so a writer needs none on our
tables. It names its own table's key columns and our journal, nothing else: it survives every other change of
the table.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from peersync.capture.deploying import SETTING
from peersync.capture.plans import Made, Plan, Standing, journal_table, literal, mark, md5

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from peersync.registry import SyncModel

ROW, TRUNCATE = "peersync_capture", "peersync_truncate"
_TYPES = {ROW: 29, TRUNCATE: 34}
"""pg_trigger.tgtype: AFTER each ROW of INSERT, UPDATE, DELETE; BEFORE a TRUNCATE statement."""
_HEADER = re.compile(r"\n-- peersync (\w{32}) (\w{32})\n")
_STAMP = (
    f"CASE WHEN current_setting('{SETTING}', true) = '1' THEN 0"
    " ELSE floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint END"
)
_LONGEST = 63


def token(table: str) -> str:
    """How the off-switch names a table. The name, not the oid: a dump keeps it, and partitions inherit it."""
    return f",{table},"


def function_name(table: str) -> str:
    name = f"peersync_{table}"
    # a db_table that spells its schema out has quotes in it
    return name if len(name.encode()) <= _LONGEST and '"' not in table else f"peersync_{md5(table)}"


def make(connection: Any, plan: Plan, schema: str) -> Made:
    """The function and the triggers of one table; ``schema``: where peersync's tables are."""
    q = connection.ops.quote_name
    function = f"{q(schema)}.{q(function_name(plan.table))}"
    table = f"{q(plan.schema)}.{q(_bare(plan.table))}"
    body = _body(connection, plan, f"{q(schema)}.{q(journal_table())}")
    off = f"strpos(COALESCE(current_setting('peersync.off', true), ''), {literal(token(plan.table))})"
    call = f"WHEN ({off} = 0) EXECUTE FUNCTION {function}()"
    row = f"CREATE OR REPLACE TRIGGER {ROW} AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW {call}"
    truncate = f"CREATE OR REPLACE TRIGGER {TRUNCATE} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {call}"
    head = (
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
        " SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $peersync$"
    )
    digest = md5(f"{head}\n{body}\n{row}\n{truncate}")
    text = f"{head}\n-- peersync {digest} {md5(body)}\n{body}$peersync$"
    return Made((text, row, truncate), digest)


def _bare(table: str) -> str:
    """The last part of a db_table that spells its schema out ('"other"."table"')."""
    return table.rsplit('"."', 1)[-1].strip('"')


def _body(connection: Any, plan: Plan, journal: str) -> str:
    q = connection.ops.quote_name
    label = literal(plan.label)
    columns = {row: [f"{row}.{q(column)}" for column in plan.pk_columns] for row in ("NEW", "OLD", "r")}
    new, old, each = (plan.pk.text_of(columns[row], "postgresql") for row in ("NEW", "OLD", "r"))
    was = _identity(connection, plan, "OLD")
    was_each = _identity(connection, plan, "r")
    born = mark(plan, "postgresql")
    insert = f"INSERT INTO {journal} (model, pk_text, what, stamp, before)"
    truncated = f"{insert} SELECT {label}, {each}, 'g', {_STAMP}, {was_each} FROM %s r"
    return f"""BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    EXECUTE format({literal(truncated)}, TG_RELID::regclass);
  ELSIF TG_OP = 'INSERT' THEN
    {insert} VALUES ({label}, {new}, 'b', {_STAMP}, {born});
  ELSIF TG_OP = 'DELETE' THEN
    {insert} VALUES ({label}, {old}, 'g', {_STAMP}, {was});
  ELSIF NOT ({_differs(plan)}) THEN
    RETURN NULL;
  ELSIF {new} COLLATE "C" IS DISTINCT FROM {old} COLLATE "C" THEN
    {insert} VALUES ({label}, {old}, 'g', {_STAMP}, {was}), ({label}, {new}, 'b', {_STAMP}, {born});
  ELSE
    {_change(connection, plan, insert, f"{label}, {new}, 'c', {_STAMP}", was)};
  END IF;
  RETURN NULL;
END
"""


def _change(connection: Any, plan: Plan, insert: str, values: str, was: str) -> str:
    """One insert, with the names of the columns that differ where they are noted. No column is named for that."""
    before = _identity_if_changed(connection, plan, was)
    if not plan.noted:
        return f"{insert} VALUES ({values}, {before})"
    left_out = "".join(f" AND n.key <> {literal(column)}" for column in plan.excluded)
    return f"""{insert[:-1]}, fields) SELECT {values}, {before}, json_agg(n.key)::text
      FROM jsonb_each(to_jsonb(NEW)) n JOIN jsonb_each(to_jsonb(OLD)) o USING (key)
      WHERE n.value <> o.value{left_out}"""


def _differs(plan: Plan) -> str:
    """Row images name no column. Excluded columns have to be named, but as texts only."""
    if not plan.excluded:
        return "NEW *<> OLD"
    names = ", ".join(literal(column) for column in plan.excluded)
    return f"(to_jsonb(NEW) - ARRAY[{names}]) <> (to_jsonb(OLD) - ARRAY[{names}])"


def _identity(connection: Any, plan: Plan, row: str) -> str:
    """A JSON object of the identity's columns as key texts, as text; NULL where the primary key is the identity."""
    if not plan.identity:
        return "NULL"
    q = connection.ops.quote_name
    pairs = (
        f"{literal(c.name)}, {c.codec('postgresql').key_sql(f'{row}.{q(c.name)}', 'postgresql')}" for c in plan.identity
    )
    return f"json_build_object({', '.join(pairs)})::text"


def _identity_if_changed(connection: Any, plan: Plan, was: str) -> str:
    if not plan.identity:
        return "NULL"
    now = _identity(connection, plan, "NEW")
    return f'CASE WHEN {now} COLLATE "C" <> {was} COLLATE "C" THEN {was} END'


def own_schema(connection: Any) -> str:
    """The schema that peersync's tables stand in."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.oid = to_regclass(%s)",
            [connection.ops.quote_name(journal_table())],
        )
        return str(cursor.fetchone()[0])


_TABLES = """
    SELECT w.label, c.oid, n.nspname,
           ARRAY(SELECT attname::text FROM pg_attribute
                 WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
           ARRAY(SELECT a.attname::text FROM pg_index i JOIN pg_attribute a
                 ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
                 WHERE i.indrelid = c.oid AND i.indisprimary),
           EXISTS(SELECT 1 FROM pg_attribute
                  WHERE attrelid = to_regclass(%s) AND attname = 'fields' AND NOT attisdropped)
    FROM unnest(%s::text[], %s::text[]) w(label, name)
    JOIN pg_class c ON c.oid = to_regclass(w.name) JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p')
"""
_TRIGGERS = """
    SELECT t.tgrelid, t.tgname::text, t.tgenabled::text, t.tgtype, p.prosrc, p.prosecdef
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgname IN (%s, %s) AND t.tgparentid = 0 AND t.tgrelid = ANY(%s::oid[])
"""


def look(connection: Any, models: Iterable[SyncModel]) -> dict[str, Standing]:
    """What stands for each model, by label; models without a table here are left out."""
    quote = connection.ops.quote_name
    names = [(model.label, quote(model.table)) for model in models]
    labels, tables = [label for label, _ in names], [table for _, table in names]
    with connection.cursor() as cursor:
        cursor.execute(_TABLES, [quote(journal_table()), labels, tables])
        standing = cursor.fetchall()
        cursor.execute(_TRIGGERS, [ROW, TRUNCATE, [oid for _, oid, *_ in standing]])
        found: dict[int, dict[str, tuple[Any, ...]]] = {}
        for oid, name, *rest in cursor.fetchall():
            found.setdefault(oid, {})[name] = tuple(rest)
    return {
        label: replace(_standing(frozenset(columns), tuple(primary), schema, found.get(oid, {})), noting=noting)
        for label, oid, schema, columns, primary, noting in standing
    }


def _standing(
    columns: frozenset[str], primary: tuple[str, ...], schema: str, found: dict[str, tuple[Any, ...]]
) -> Standing:
    if set(found) != {ROW, TRUNCATE}:
        return Standing(columns, primary, schema, "", "its trigger is missing")
    enabled, _, source, definer = found[ROW]
    header = _HEADER.match(source)
    digest = header[1] if header else ""
    reason = ""
    if {state for state, *_ in found.values()} - {"O", "A"}:
        reason = "its trigger is disabled"
    elif (
        header is None
        or md5(source[header.end() :]) != header[2]
        or not definer
        or any(kind != _TYPES[name] for name, (_, kind, _, _) in found.items())
    ):
        reason = "its trigger was altered"
    return Standing(columns, primary, schema, digest, reason, always=enabled == "A")


def after(connection: Any, plan: Plan, standing: Standing) -> Iterator[str]:
    """What is run after the statements of :func:`make`: the owner's ENABLE ALWAYS outlives a remake."""
    if standing.always:
        q = connection.ops.quote_name
        yield f"ALTER TABLE {q(plan.schema)}.{q(_bare(plan.table))} ENABLE ALWAYS TRIGGER {ROW}"


def refresh(connection: Any, plan: Plan, schema: str) -> None:
    """In the middle of a migrate: give the function that the table has a text that fits its columns.

    Only the function is replaced (no lock on the table), with the same text too: a session that has run it
    would go on with a plan for the key's former type. Without the right to do so the next install says so.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT format('%%I.%%I', n.nspname, p.proname) FROM pg_trigger t
            JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE t.tgname = %s AND t.tgparentid = 0 AND t.tgrelid = to_regclass(%s)
            AND pg_has_role(p.proowner, 'USAGE')
            """,
            [ROW, connection.ops.quote_name(plan.table)],
        )
        found = cursor.fetchone()
        if found is None:
            return
        q = connection.ops.quote_name
        made = make(connection, plan, schema).statements[0]
        cursor.execute(made.replace(f"{q(schema)}.{q(function_name(plan.table))}", found[0], 1))


def strangers(connection: Any, keep: Iterable[str]) -> list[tuple[str, ...]]:
    """Statements that take our triggers from each table that is not to be kept, one tuple per table."""
    kept = [connection.ops.quote_name(table) for table in keep]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT format('%%I.%%I', n.nspname, c.relname), array_agg(quote_ident(t.tgname) ORDER BY t.tgname)
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_proc p ON p.oid = t.tgfoid
            WHERE t.tgname IN (%s, %s) AND t.tgparentid = 0 AND p.pronamespace = %s::regnamespace
            AND c.oid <> ALL (ARRAY(SELECT to_regclass(k) FROM unnest(%s::text[]) k
                                    WHERE to_regclass(k) IS NOT NULL)::oid[])
            GROUP BY 1 ORDER BY 1
            """,
            [ROW, TRUNCATE, connection.ops.quote_name(own_schema(connection)), kept],
        )
        return [tuple(f"DROP TRIGGER {name} ON {table}" for name in names) for table, names in cursor.fetchall()]


def drop_unused_functions(connection: Any) -> None:
    """Functions of ours that no trigger calls any more, and that this role may drop."""
    with connection.cursor() as cursor:
        cursor.execute(
            r"""
            SELECT format('DROP FUNCTION IF EXISTS %%I.%%I()', n.nspname, p.proname)
            FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE n.oid = %s::regnamespace AND p.proname LIKE 'peersync\_%%'
            AND p.prosrc LIKE E'\n-- peersync %%' AND pg_has_role(p.proowner, 'USAGE')
            AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgfoid = p.oid)
            """,
            [connection.ops.quote_name(own_schema(connection))],
        )
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)
