//! A folder for what a test starts. Nothing that was started in it outlives it, however the test ends.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// A temporary folder. Programs that are to end with it have it in their environment, say as `TMPDIR`.
pub(crate) struct Sandbox(TempDir);

impl Sandbox {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The files in it.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.path())?;
        Ok(entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?)
    }

    /// The processes that have it in their environment, with their command lines.
    pub(crate) fn living(&self) -> Vec<(i32, String)> {
        let dir = self.path().to_string_lossy().into_owned();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        processes
            .filter_map(|process| {
                let pid = process.file_name().to_str()?.parse().ok()?;
                // It may be another user's, or end meanwhile.
                let environ = fs::read(process.path().join("environ")).ok()?;
                let command = fs::read(process.path().join("cmdline")).ok()?;
                let here = String::from_utf8_lossy(&environ).contains(&dir);
                here.then(|| (pid, String::from_utf8_lossy(&command).replace('\0', " ")))
            })
            .collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // What is being killed may start something else meanwhile.
        loop {
            let left = self.living();
            if left.is_empty() {
                return;
            }
            for (pid, _) in left {
                // It may have ended by itself.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            std::thread::yield_now();
        }
    }
}
