//! Commits at which a test may have this process die.
//!
//! A crash is proved where it happens, never after a sleep: `CARCIN_FAULT=before:N` has the process get SIGKILL right
//! before the N-th commit that changes something, `after:N` right after it, before anybody is told. All of this is in the
//! program `carcin-tg-faults` alone, which the feature `fault-points` builds and nobody ships. In `carcin-tg` every call
//! here is empty.

pub(crate) use imp::Commit;

#[cfg(not(feature = "fault-points"))]
mod imp {
    use rusqlite::Transaction;

    /// A commit on its way.
    #[derive(Clone, Copy)]
    pub(crate) struct Commit;

    impl Commit {
        #[inline]
        pub(crate) fn begins(_: &Transaction<'_>) -> Self {
            Self
        }

        #[inline]
        pub(crate) fn is_due(self, _: &Transaction<'_>) -> Self {
            self
        }

        #[inline]
        #[expect(clippy::unused_self, reason = "as the armed one")]
        pub(crate) fn is_done(self) {}
    }
}

#[cfg(feature = "fault-points")]
mod imp {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use rusqlite::Transaction;

    /// `(true, N)`: before the N-th.
    static FAULT: LazyLock<Option<(bool, u64)>> = LazyLock::new(|| {
        let spec = std::env::var("CARCIN_FAULT").ok()?;
        let (side, nth) = spec.split_once(':').expect("CARCIN_FAULT is before:N or after:N");
        assert!(["before", "after"].contains(&side), "CARCIN_FAULT is before:N or after:N");
        Some((side == "before", nth.parse().expect("a number")))
    });
    static COMMITS: AtomicU64 = AtomicU64::new(0);

    /// A commit on its way.
    #[derive(Clone, Copy)]
    pub(crate) struct Commit {
        rows: i64,
        nth: u64,
    }

    impl Commit {
        pub(crate) fn begins(tx: &Transaction<'_>) -> Self {
            Self { rows: rows(tx), nth: 0 }
        }

        pub(crate) fn is_due(self, tx: &Transaction<'_>) -> Self {
            if rows(tx) == self.rows {
                return self;
            }
            let nth = COMMITS.fetch_add(1, Ordering::Relaxed) + 1;
            die_at(true, nth);
            Self { nth, ..self }
        }

        pub(crate) fn is_done(self) {
            die_at(false, self.nth);
        }
    }

    fn rows(tx: &Transaction<'_>) -> i64 {
        tx.query_row("SELECT total_changes()", [], |row| row.get(0)).expect("SQLite counts")
    }

    fn die_at(before: bool, nth: u64) {
        if *FAULT == Some((before, nth)) {
            kill(Pid::this(), Signal::SIGKILL).expect("it gets the signal");
            loop {
                std::thread::park();
            }
        }
    }
}
