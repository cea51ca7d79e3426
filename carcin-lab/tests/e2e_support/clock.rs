//! The wall clock of the programs, set by the test. What measures time within a program goes on as ever.

use std::path::Path;

use carcin_lab::rig::Builder;

/// Where Debian has the library that fakes the clock.
const FAKETIME: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];

/// A clock.
pub struct Clock {
    dir: tempfile::TempDir,
    library: &'static str,
}

impl Clock {
    /// One that is right; `None`: the library is not installed.
    pub fn new() -> anyhow::Result<Option<Self>> {
        let Some(library) = FAKETIME.iter().find(|path| Path::new(path).exists()) else { return Ok(None) };
        let clock = Self { dir: tempfile::tempdir()?, library };
        clock.set("+0")?;
        Ok(Some(clock))
    }

    /// Sets it, so much from what it really is: "+1h", "-1d".
    pub fn set(&self, offset: &str) -> anyhow::Result<()> {
        // Written whole, for it is read at any moment.
        let new = self.dir.path().join("new");
        std::fs::write(&new, offset)?;
        Ok(std::fs::rename(new, self.dir.path().join("clock"))?)
    }

    /// A rig whose programs have this clock.
    pub fn given_to(&self, rig: Builder) -> Builder {
        let file = self.dir.path().join("clock");
        rig.env("LD_PRELOAD", self.library)
            .env("FAKETIME_TIMESTAMP_FILE", file.to_str().expect("a path of ours"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}
