//! What was found in the place of the journal, and for how long that counts.
//!
//! A journal that was begun anew does not know the Claudes that run, until they are given to their conversations. This
//! may be cut off at any point, and the journal looks like any other by then. So its origin is in a file beside it,
//! from before it is there until all of that is done.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::open::{failed, remove};
use super::schema::with;

/// How the file's name goes on after the journal's.
const BEGUN_ANEW: &str = ".begun-anew";

/// What was found in the place of the journal, by this start or by one that was not done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A journal.
    Kept,
    /// Nothing.
    New,
    /// One that was damaged. What could be read of it was taken over.
    Damaged {
        /// Where it is kept.
        kept: PathBuf,
        /// What is the matter with it.
        why: String,
    },
}

/// Notes the origin of the journal that is about to be put at `path`. The file is empty where nothing was found,
/// otherwise it has the name of the damaged one in its first line, and what is the matter with it behind that.
pub(super) fn note(path: &Path, origin: &Origin) -> Result<(), StoreError> {
    let text = match origin {
        Origin::Kept => return forget(path),
        Origin::New => String::new(),
        Origin::Damaged { kept, why } => {
            format!("{}\n{why}", kept.file_name().unwrap_or_default().to_string_lossy())
        }
    };
    let write = || {
        let mut file = File::create(with(path, BEGUN_ANEW))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|error| failed(path, &error))
}

/// The origin of the journal at `path`.
pub(super) fn find(path: &Path) -> Result<Origin, StoreError> {
    match fs::read(with(path, BEGUN_ANEW)) {
        Ok(text) => {
            let text = String::from_utf8_lossy(&text);
            let damaged = |(name, why): (&str, &str)| Origin::Damaged {
                kept: path.with_file_name(name),
                why: why.to_owned(),
            };
            Ok(text.split_once('\n').map_or(Origin::New, damaged))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Origin::Kept),
        Err(error) => Err(failed(path, &error)),
    }
}

/// From the next start on it is a journal like any other.
pub(super) fn forget(path: &Path) -> Result<(), StoreError> {
    remove(path, BEGUN_ANEW)
}
