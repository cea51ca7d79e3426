//! The pictures that Claude's tools return, as files: readers are told of them by path, so that the journal need not hold
//! them.
//!
//! A name follows from what is in the file. So a line that is read again after a crash changes nothing.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::pictures::media_type;
use crate::claude::Picture;

/// Where they are, in the state directory.
const DIR: &str = "pictures";
/// All of them together, in bytes. Beyond, the oldest are removed.
const MOST_BYTES: u64 = 64 << 20;
/// As many are kept at most.
const MOST_FILES: usize = 256;

/// A picture that is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Absolute.
    pub path: PathBuf,
    /// What it is.
    pub media_type: &'static str,
    /// In bytes.
    pub size: u64,
}

/// Puts a picture into a file, and removes the oldest others where there are too many. Blocking.
pub(super) fn keep(state_dir: &Path, picture: &Picture) -> io::Result<Kept> {
    let bytes = STANDARD.decode(&picture.data).map_err(io::Error::other)?;
    let media_type =
        media_type(&bytes).ok_or_else(|| io::Error::other("it is no picture that can be shown"))?;
    let dir = state_dir.join(DIR);
    DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    let mut hasher = DefaultHasher::new();
    (picture.tool_use.as_str(), &bytes).hash(&mut hasher);
    let extension = media_type.trim_start_matches("image/");
    let path = dir.join(format!("{:016x}.{extension}", hasher.finish()));
    if !path.exists() {
        let temporary = path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&bytes)?;
        drop(file);
        fs::rename(&temporary, &path)?;
        prune(&dir, MOST_FILES, MOST_BYTES)?;
    }
    Ok(Kept { path, media_type, size: bytes.len() as u64 })
}

/// Removes the oldest until no more are left than may be.
fn prune(dir: &Path, most_files: usize, most_bytes: u64) -> io::Result<()> {
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        files.push((metadata.modified()?, metadata.len(), entry.path()));
    }
    files.sort_by(|a, b| b.cmp(a));
    let (mut count, mut bytes) = (0, 0);
    for (_, size, path) in files {
        (count, bytes) = (count + 1, bytes + size);
        if count > most_files || bytes > most_bytes {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    fn picture(bytes: &[u8]) -> Picture {
        let tool_use = "t1".parse().expect("an id");
        Picture { tool_use, parent: None, data: STANDARD.encode(bytes) }
    }

    #[test]
    fn picture_is_a_private_file_and_the_same_one_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let png = b"\x89PNG\r\n\x1a\nrest";
        let kept = keep(dir.path(), &picture(png)).expect("it is kept");
        assert_eq!((kept.media_type, kept.size), ("image/png", 12));
        assert_eq!(kept.path.extension().and_then(|end| end.to_str()), Some("png"));
        assert_eq!(fs::read(&kept.path).expect("a file"), png);
        assert_eq!(fs::metadata(&kept.path).expect("a file").permissions().mode() & 0o077, 0);
        assert_eq!(keep(dir.path(), &picture(png)).expect("it is there"), kept);
        assert_eq!(fs::read_dir(dir.path().join(DIR)).expect("a directory").count(), 1);
    }

    #[test]
    fn what_is_no_picture_is_no_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let broken = Picture { data: "no base64!".to_owned(), ..picture(b"") };
        for none in [picture(b"<svg/>"), picture(b""), broken] {
            assert!(keep(dir.path(), &none).is_err());
        }
        assert!(!dir.path().join(DIR).exists());
    }

    #[test]
    fn oldest_are_removed_where_there_are_too_many() {
        let dir = tempfile::tempdir().expect("a directory");
        let now = SystemTime::now();
        for age in 0..6 {
            let file = fs::File::create(dir.path().join(age.to_string())).expect("a file");
            file.set_len(10).expect("a size");
            file.set_modified(now - Duration::from_secs(age)).expect("a time");
        }
        let left = |files, bytes| {
            prune(dir.path(), files, bytes).expect("pruned");
            let mut names: Vec<_> = fs::read_dir(dir.path())
                .expect("a directory")
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
                .collect();
            names.sort();
            names
        };
        assert_eq!(left(4, 1000), ["0", "1", "2", "3"]);
        assert_eq!(left(4, 29), ["0", "1"]);
    }
}
