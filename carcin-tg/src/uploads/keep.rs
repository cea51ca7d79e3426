//! Removes files that were sent long ago.
//!
//! The time for which a file is kept begins when it is used for the last time: as long as something waits for it, each sweep
//! begins that time anew.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::{error, info};

use super::{SWEEP, Settings};
use crate::store::{Store, uploads};

/// Removes what was last used before the time that the user wants it to be kept.
pub(super) async fn sweep(store: &Store, settings: &Settings) {
    let Some(keep) = settings.keep else { return };
    // What was in use was that until the next sweep at most.
    let keep = keep.saturating_add(SWEEP);
    let in_use = match store.read(uploads::in_use).await {
        Ok(files) => files,
        Err(error) => return error!("no file that was sent is removed: {error}"),
    };
    let dir = settings.dir.clone();
    let swept = tokio::task::spawn_blocking(move || remove_old(&dir, keep, &in_use)).await;
    match swept {
        Ok(Ok(0)) => {}
        Ok(Ok(removed)) => info!(removed, "files that were sent long ago are removed"),
        Ok(Err(error)) => error!("files that were sent long ago cannot be removed: {error}"),
        Err(error) => error!("{error}"),
    }
}

/// Removes old files in the folders of `dir`, and the folders that are empty then; how many files.
fn remove_old(dir: &Path, keep: Duration, in_use: &BTreeSet<PathBuf>) -> io::Result<usize> {
    let mut removed = 0;
    let now = SystemTime::now();
    let chats = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        chats => chats?,
    };
    for chat in chats {
        let chat = chat?;
        // A link could lead out of here.
        if !chat.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(chat.path())? {
            let file = file?;
            // It may be gone by now.
            let Ok(data) = file.path().symlink_metadata() else { continue };
            let age = now.duration_since(data.modified()?).unwrap_or_default();
            if in_use.contains(&file.path()) {
                // Fails where somebody took it away.
                let _ = fs::File::options()
                    .append(true)
                    .open(file.path())
                    .and_then(|file| file.set_modified(now));
            } else if !data.is_dir() && age > keep {
                removed += usize::from(fs::remove_file(file.path()).is_ok());
            }
        }
        // Fails where anything is left.
        let _ = fs::remove_dir(chat.path());
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_old_and_not_in_use_is_removed() {
        let root = tempfile::tempdir().expect("a directory");
        let outside = root.path().join("outside");
        let dir = root.path().join("uploads");
        for chat in ["1", "2", "3"] {
            fs::create_dir_all(dir.join(chat)).expect("a folder");
        }
        fs::create_dir(&outside).expect("a folder");
        std::os::unix::fs::symlink(&outside, dir.join("link")).expect("a link");
        let old = SystemTime::now() - Duration::from_hours(48);
        let file = |path: PathBuf, modified: SystemTime| {
            let file = fs::File::create(&path).expect("a file");
            file.set_modified(modified).expect("a time");
            path
        };
        let gone = file(dir.join("1/old"), old);
        let young = file(dir.join("1/young"), SystemTime::now());
        let waits = file(dir.join("2/old"), old);
        let also_gone = file(dir.join("3/old"), old);
        let elsewhere = file(outside.join("old"), old);
        let in_use = BTreeSet::from([waits.clone()]);
        assert_eq!(remove_old(&dir, Duration::from_hours(24), &in_use).expect("removes"), 2);
        assert!(!gone.exists() && !also_gone.exists() && !dir.join("3").exists());
        assert!(young.exists() && waits.exists() && elsewhere.exists());
        let day = Duration::from_hours(24);
        assert_eq!(remove_old(&dir, day, &BTreeSet::new()).expect("removes"), 0, "its time has begun anew");
        assert_eq!(remove_old(&root.path().join("none"), Duration::ZERO, &in_use).expect("nothing"), 0);
    }
}
