//! Files by id.

use std::collections::{HashMap, VecDeque};

use axum::body::Bytes;

/// Bytes of files kept; beyond, the oldest file is gone ("temporarily unavailable").
pub const MAX_FILE_BYTES: usize = 512 * 1024 * 1024;

/// A file that Telegram keeps.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// `file_id`.
    pub id: String,
    /// `file_unique_id`.
    pub unique_id: String,
    /// `file_path`, for the download.
    pub path: String,
    /// Name as sent.
    pub name: String,
    /// MIME type.
    pub mime: String,
    /// Content.
    pub bytes: Bytes,
}

/// All files.
#[derive(Debug, Default)]
pub(super) struct FileStore {
    files: HashMap<String, StoredFile>,
    order: VecDeque<String>,
    total: usize,
    count: u64,
}

impl FileStore {
    /// Keeps a file in `folder` ("documents", "photos"…).
    pub(super) fn add(&mut self, folder: &str, name: &str, mime: &str, bytes: Bytes) -> StoredFile {
        self.count += 1;
        let id = format!("LAB-file-{}-{}", self.count, uuid::Uuid::new_v4().simple());
        let extension: String = name
            .rsplit_once('.')
            .map(|(_, extension)| extension.chars().filter(char::is_ascii_alphanumeric).take(8).collect())
            .unwrap_or_default();
        let dot = if extension.is_empty() { "" } else { "." };
        let file = StoredFile {
            unique_id: format!("LABu{}", self.count),
            path: format!("{folder}/file_{}{dot}{extension}", self.count),
            name: name.to_owned(),
            mime: mime.to_owned(),
            bytes,
            id: id.clone(),
        };
        self.total += file.bytes.len();
        self.order.push_back(id.clone());
        self.files.insert(id, file.clone());
        while self.total > MAX_FILE_BYTES && self.order.len() > 1 {
            let oldest = self.order.pop_front().and_then(|id| self.files.remove(&id));
            self.total -= oldest.map_or(0, |file| file.bytes.len());
        }
        file
    }

    pub(super) fn get(&self, id: &str) -> Option<&StoredFile> {
        self.files.get(id)
    }

    pub(super) fn by_path(&self, path: &str) -> Option<&StoredFile> {
        self.files.values().find(|file| file.path == path)
    }
}

/// What a file is, by its name.
pub(super) fn mime_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref() {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("pdf") => "application/pdf",
        Some("txt" | "log" | "rs" | "py" | "sh") => "text/plain",
        Some("md") => "text/markdown",
        Some("json") => "application/json",
        Some("mp4") => "video/mp4",
        Some("mp3") => "audio/mpeg",
        Some("ogg" | "oga") => "audio/ogg",
        _ => "application/octet-stream",
    }
}

/// Width and height of a PNG, JPEG, GIF or WebP picture; `None` where the bytes are none of these.
pub(super) fn picture_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let two = |at: usize| Some(u32::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        let four = |at: usize| Some((two(at)? << 16) | two(at + 2)?);
        return Some((four(16)?, four(20)?));
    }
    if bytes.starts_with(b"GIF8") {
        let little = |at: usize| Some(u32::from(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
        return Some((little(6)?, little(8)?));
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some((512, 512));
    }
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return None;
    }
    // JPEG: segments of marker and length, until the one with the frame's size.
    let mut at = 2;
    loop {
        let marker = two(at)?;
        if marker >> 8 != 0xFF {
            return None;
        }
        if (0xFFC0..=0xFFCF).contains(&marker) && !matches!(marker, 0xFFC4 | 0xFFC8 | 0xFFCC) {
            return Some((two(at + 7)?, two(at + 5)?));
        }
        at += 2 + usize::try_from(two(at + 2)?).expect("16 bits");
    }
}
