//! Whether something is there, told from whether that can be seen.

use std::io::{self, ErrorKind};

/// `None`: it is not there, as one that goes while it is looked at. That is no error, every other one is: a machine out of
/// descriptors, or a disk that fails, says nothing of what there is.
pub(crate) fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}
