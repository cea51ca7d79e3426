//! The two kinds of transaction: one that only reads, and one that writes.

use std::ops::Deref;

use rusqlite::{CachedStatement, Connection, Error, Params, Result, Row, TransactionBehavior};

use super::StoreError;
use crate::fault;

/// The database as it is at one moment. There is no way to change it from here: it has no `execute`, and a statement
/// that would write is refused.
#[derive(Debug)]
pub struct Reader<'c>(rusqlite::Transaction<'c>);

impl Reader<'_> {
    pub(super) fn prepare_cached(&self, sql: &str) -> Result<CachedStatement<'_>> {
        let statement = self.0.prepare_cached(sql)?;
        if statement.readonly() { Ok(statement) } else { Err(Error::InvalidQuery) }
    }

    pub(super) fn query_row<T, P, F>(&self, sql: &str, params: P, read: F) -> Result<T>
    where
        P: Params,
        F: FnOnce(&Row<'_>) -> Result<T>,
    {
        self.prepare_cached(sql)?.query_row(params, read)
    }
}

/// Changes to the database that are committed all together, or not at all. It reads, too.
#[derive(Debug)]
pub struct Transaction<'c>(Reader<'c>);

impl<'c> Deref for Transaction<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Reader<'c> {
        &self.0
    }
}

impl Transaction<'_> {
    pub(super) fn prepare_cached(&self, sql: &str) -> Result<CachedStatement<'_>> {
        self.0.0.prepare_cached(sql)
    }

    pub(super) fn query_row<T, P, F>(&self, sql: &str, params: P, read: F) -> Result<T>
    where
        P: Params,
        F: FnOnce(&Row<'_>) -> Result<T>,
    {
        self.prepare_cached(sql)?.query_row(params, read)
    }

    pub(super) fn execute<P: Params>(&self, sql: &str, params: P) -> Result<usize> {
        self.prepare_cached(sql)?.execute(params)
    }

    pub(super) fn last_insert_rowid(&self) -> i64 {
        self.0.0.last_insert_rowid()
    }
}

/// What a commit outlives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// A power cut, too.
    Full,
    /// The death of the process. A power cut may take the commit, unless a [`Durability::Full`] one came after it.
    Process,
}

/// Runs `look` on the database as it is now.
pub(super) fn read<T>(
    connection: &mut Connection,
    look: impl FnOnce(&Reader<'_>) -> std::result::Result<T, StoreError>,
) -> std::result::Result<T, StoreError> {
    look(&Reader(connection.transaction()?))
}

/// Runs `work` and commits it; an error rolls it back.
pub(super) fn write<T>(
    connection: &mut Connection,
    sync: Durability,
    work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, StoreError>,
) -> std::result::Result<T, StoreError> {
    if sync == Durability::Full {
        return commit(connection, work);
    }
    connection.pragma_update(None, "synchronous", "normal")?;
    let result = commit(connection, work);
    connection.pragma_update(None, "synchronous", "full")?;
    result
}

fn commit<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, StoreError>,
) -> std::result::Result<T, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let fault = fault::Commit::begins(&transaction);
    let transaction = Transaction(Reader(transaction));
    let result = work(&transaction)?;
    let Transaction(Reader(transaction)) = transaction;
    let fault = fault.is_due(&transaction);
    transaction.commit()?;
    fault.is_done();
    Ok(result)
}
