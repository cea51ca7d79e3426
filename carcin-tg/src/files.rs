//! Files that are to be sent, as the outbox keeps them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::api::Shape;

/// The most files in an album (Bot API, `sendMediaGroup`).
const ALBUM: usize = 10;

/// A job's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileJob {
    /// The chat.
    pub chat_id: i64,
    /// The topic.
    pub message_thread_id: Option<i64>,
    /// One file, as earlier versions have stored it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What is in the one file, where it is not on disk: then `path` is its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The files, at most as many as an album takes.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// May be empty.
    #[serde(default)]
    pub caption: String,
    /// Whether the phone stays quiet.
    #[serde(default)]
    pub silent: bool,
    /// What the files are sent as, where that is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// Why there is no file, instead of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sorry: Option<String>,
    /// Nobody asked for it, so nothing is said where it cannot be sent.
    #[serde(default)]
    pub optional: bool,
}

/// Files in the groups in which they can be sent: pictures together, others together, in order.
pub(crate) fn groups(files: &[PathBuf]) -> Vec<Vec<PathBuf>> {
    let (pictures, others): (Vec<PathBuf>, Vec<PathBuf>) =
        files.iter().cloned().partition(|file| is_picture(file));
    [pictures, others].iter().flat_map(|files| files.chunks(ALBUM)).map(<[PathBuf]>::to_vec).collect()
}

/// Whether Telegram shows the file as a picture, by its name.
pub(crate) fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["jpg", "jpeg", "png", "webp"].contains(&extension.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_go_with_pictures_and_no_album_is_too_large() {
        let names = (0..12).map(|n| format!("/{n}.png")).chain(["/a.pdf".to_owned(), "/b.txt".to_owned()]);
        let files: Vec<PathBuf> = names.map(PathBuf::from).collect();
        let sizes: Vec<usize> = groups(&files).iter().map(Vec::len).collect();
        assert_eq!(sizes, [10, 2, 2]);
    }
}
