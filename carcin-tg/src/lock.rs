//! One process per bot: two pollers take each other's updates.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use crate::fatal::Fatal;

/// Holds a bot as long as it lives; the kernel drops it with the process. Not `Clone`.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(path: &Path) -> Result<Self, Fatal> {
        let failed = |source| Fatal::Io { what: format!("cannot open the lock {}", path.display()), source };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
                writeln!(file, "{}", std::process::id()).map_err(failed)?;
                Ok(Self { _file: file })
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => Err(Fatal::Locked(held_by(&mut file))),
            Err((_, errno)) => Err(failed(errno.into())),
        }
    }
}

fn held_by(file: &mut File) -> String {
    let mut pid = String::new();
    match file.read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => {
            format!("another carcin-tg (pid {}) already serves this bot", pid.trim())
        }
        _ => "another carcin-tg already serves this bot".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_holds_the_bot() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("42.lock");
        let first = Lock::take(&path).expect("free");
        let error = Lock::take(&path).expect_err("held");
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        drop(first);
        Lock::take(&path).expect("free again");
    }
}
