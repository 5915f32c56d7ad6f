//! Records as rows.

use sqlx::{
    Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::super::{
    Record,
    fault::{Fault, corrupt},
    fields::{Fields, StoredFields, check_format},
};
use crate::secret::{AccessToken, RefreshToken};

/// Binds the parameters after `account` of a statement that saves.
pub(super) fn bind<'q>(
    query: Query<'q, Postgres, PgArguments>,
    fields: &Fields<'q>,
) -> Query<'q, Postgres, PgArguments> {
    query
        .bind(number(fields.version))
        .bind(fields.access_token)
        .bind(fields.issued_at_ms.map(number))
        .bind(fields.lifetime_ms.map(number))
        .bind(fields.refresh_token)
        .bind(fields.presented_at_ms.map(number))
        .bind(fields.refused_at_ms.map(number))
        .bind(fields.lineage.clone())
}

/// Reads a record. `None`: the row holds a lease alone.
pub(super) fn record(row: &PgRow) -> Result<Option<Record>, Fault> {
    let numbers = [
        "version",
        "issued_at_ms",
        "lifetime_ms",
        "presented_at_ms",
        "refused_at_ms",
    ];
    let Some(format) = row.try_get::<Option<i64>, _>("format")? else {
        let mut nothing = true;
        for column in numbers {
            nothing &= row.try_get::<Option<i64>, _>(column)?.is_none();
        }
        let texts = [
            text::<AccessToken>(row, "access_token")?.is_none(),
            text::<RefreshToken>(row, "refresh_token")?.is_none(),
            text::<String>(row, "lineage")?.is_none(),
        ];
        return match nothing && texts == [true; 3] {
            true => Ok(None),
            false => Err(corrupt("a record has no format")),
        };
    };
    check_format(stored(format)?, "the row")?;
    let [
        version,
        issued_at_ms,
        lifetime_ms,
        presented_at_ms,
        refused_at_ms,
    ] = numbers.map(|column| optional(row, column));
    let fields = StoredFields {
        version: version?.ok_or_else(|| corrupt("a record has no version"))?,
        access_token: text(row, "access_token")?,
        issued_at_ms: issued_at_ms?,
        lifetime_ms: lifetime_ms?,
        refresh_token: text(row, "refresh_token")?,
        presented_at_ms: presented_at_ms?,
        refused_at_ms: refused_at_ms?,
        lineage: text(row, "lineage")?,
    };
    fields.into_record().map(Some)
}

fn text<T: From<String>>(row: &PgRow, column: &str) -> Result<Option<T>, Fault> {
    Ok(row.try_get::<Option<String>, _>(column)?.map(T::from))
}

fn optional(row: &PgRow, column: &str) -> Result<Option<u64>, Fault> {
    row.try_get::<Option<i64>, _>(column)?
        .map(stored)
        .transpose()
}

fn stored(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|_| corrupt("a record holds a negative number"))
}

/// The number as a `bigint`, which holds every number of a record.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
