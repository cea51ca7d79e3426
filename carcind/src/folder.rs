//! Folders to work in, and why one is none.

use std::io::{self, ErrorKind};
use std::path::Path;

/// Looks whether Claude can be started in a folder; why not. Blocking.
pub(crate) fn check(folder: &Path) -> Result<(), String> {
    // What is in it is only told to those who may enter it.
    std::fs::metadata(folder.join(".")).map(drop).map_err(|error| why_not(folder, &error))
}

/// Why a folder cannot be used, in words.
pub(crate) fn why_not(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        ErrorKind::NotFound => format!("the folder {path} does not exist"),
        ErrorKind::NotADirectory => format!("{path} is not a folder"),
        ErrorKind::PermissionDenied => format!("the folder {path} is closed to carcind: permission denied"),
        _ => format!("cannot look into {path}: {error}"),
    }
}
