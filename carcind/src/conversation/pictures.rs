//! The pictures of a prompt: read whenever its line is written, so that the journal need not hold them.
//!
//! The prompt names them too. So one that is gone, is no picture, or does not fit is left out, and Claude can still
//! read the file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::claude::control;

/// How long all of them may take to be read. They may be on another machine, and a stop waits behind them.
const PATIENCE: Duration = Duration::from_secs(2);
/// The largest file that can fit into a line.
const LARGEST: u64 = 750 << 10;
/// So much of all files together is held at most.
const LARGEST_SUM: usize = 1 << 20;

/// A picture, as it goes into a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picture {
    media_type: &'static str,
    bytes: Vec<u8>,
}

/// The pictures that can be read, in order.
pub(super) async fn load(paths: Vec<PathBuf>) -> Vec<Picture> {
    if paths.is_empty() {
        return Vec::new();
    }
    let read = spawn_blocking(move || {
        let mut sum = 0;
        let mut pictures = Vec::new();
        for path in paths {
            match read(&path) {
                Ok(picture) if sum + picture.bytes.len() <= LARGEST_SUM => {
                    sum += picture.bytes.len();
                    pictures.push(picture);
                }
                Ok(_) => tracing::debug!(path = %path.display(), "a picture too many"),
                Err(error) => tracing::debug!(path = %path.display(), %error, "a picture is left out"),
            }
        }
        pictures
    });
    if let Ok(Ok(pictures)) = timeout(PATIENCE, read).await {
        return pictures;
    }
    tracing::warn!("the pictures of a prompt cannot be read");
    Vec::new()
}

/// `line` with as many of the pictures as fit into `limit` bytes with its newline.
pub(super) fn illustrate(line: &str, pictures: &[Picture], limit: usize) -> String {
    let mut blocks = Vec::new();
    let mut length = line.len() + CONTENT + 1;
    for Picture { media_type, bytes } in pictures {
        let more = bytes.len().div_ceil(3) * 4 + BLOCK;
        if length + more <= limit {
            length += more;
            blocks.push((*media_type, STANDARD.encode(bytes)));
        }
    }
    if blocks.is_empty() { line.to_owned() } else { control::with_images(line, &blocks) }
}

/// What a picture's block takes besides its data, at most.
const BLOCK: usize = 120;
/// What a list of blocks takes besides them, at most.
const CONTENT: usize = 60;

fn read(path: &Path) -> io::Result<Picture> {
    // Whatever is there, it is not waited for.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(io::Error::other("it is no file, or too large"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    match media_type(&bytes) {
        Some(media_type) => Ok(Picture { media_type, bytes }),
        None => Err(io::Error::other("it is no picture that Claude takes")),
    }
}

/// What a picture is, by how it begins.
pub(super) fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

    fn picture(bytes: usize) -> Picture {
        Picture { media_type: "image/png", bytes: vec![7; bytes] }
    }

    fn line() -> String {
        control::prompt(carcin_proto::PromptId::random(), "look at /tmp/a.png")
    }

    #[test]
    fn a_line_with_pictures_has_them_behind_its_text() {
        let line = illustrate(&line(), &[picture(3)], 4096);
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let content = &line["message"]["content"];
        assert_eq!(content[0], serde_json::json!({"type": "text", "text": "look at /tmp/a.png"}));
        assert_eq!(content[1]["source"]["data"], "BwcH");
        assert_eq!(content[1]["source"]["media_type"], "image/png");
        assert_eq!((&content[2], &line["type"]), (&serde_json::Value::Null, &"user".into()));
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_the_line_never_is_too_long() {
        let pictures = [picture(1000), picture(700_000), picture(500), picture(300_000), picture(100)];
        for limit in [0, 500, 2000, 4096, 65536, 1 << 20] {
            let bare = line();
            let line = illustrate(&bare, &pictures, limit);
            assert!(line.len() < limit || line == bare, "{} bytes for {limit}", line.len());
        }
        let all = illustrate(&line(), &pictures, 1 << 20);
        let content: serde_json::Value = serde_json::from_str(&all).expect("JSON");
        assert_eq!(content["message"]["content"].as_array().expect("blocks").len(), 5, "all but one");
    }

    #[tokio::test]
    async fn only_pictures_that_are_there_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a.png"), PNG).expect("a file");
        std::fs::write(path("a.txt"), "text").expect("a file");
        let large = [PNG, &vec![0; 800 << 10]].concat();
        std::fs::write(path("large.png"), large).expect("a file");
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        let names = ["a.png", "a.txt", "large.png", "fifo", "missing.png", ""];
        let pictures = load(names.map(path).to_vec()).await;
        assert_eq!(pictures, [Picture { media_type: "image/png", bytes: PNG.to_vec() }]);
    }

    #[test]
    fn the_four_kinds_are_known_by_how_they_begin() {
        assert_eq!(media_type(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(media_type(PNG), Some("image/png"));
        assert_eq!(media_type(b"GIF89a.."), Some("image/gif"));
        assert_eq!(media_type(b"RIFF\x01\x02\x03\x04WEBPVP8 "), Some("image/webp"));
        assert_eq!(media_type(b"<svg"), None);
        assert_eq!(media_type(b""), None);
    }
}
