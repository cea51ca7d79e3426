//! What is said about a file: while it is fetched, when it cannot be, and to Claude.

use crate::markdown::{Text, TextBuilder};
use crate::message::Message as Shown;
use crate::update::{Attachment, FileKind};

/// How much of a name is shown, in characters: a sender can make it as long as a message.
const MAX_SHOWN: usize = 60;

/// Of a file that is too large for Telegram's own server.
pub(super) fn too_large() -> String {
    "Telegram's server gives bots no file over 20 MB. Send it in parts or give Claude a link; a Bot API server of your \
     own (TELEGRAM_API_URL) has no such limit."
        .to_owned()
}

/// The name as it is shown: on one line, and not too long.
fn shown_name(file: &Attachment) -> Option<String> {
    let name = file.name.as_deref()?;
    let mut chars = name.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = chars.by_ref().take(MAX_SHOWN).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    Some(shown)
}

/// What a file is called in a sentence.
pub(super) fn name_of(file: &Attachment) -> Text {
    let mut text = TextBuilder::new();
    match shown_name(file) {
        Some(name) => text.code(&name),
        None => text.push("this ").push(file.kind.name()),
    };
    text.build()
}

/// What the note says.
pub(super) fn line(sign: &str, file: &Attachment, percent: Option<u64>) -> Shown {
    let mut text = TextBuilder::new();
    text.push(sign);
    match shown_name(file) {
        Some(name) => text.code(&name),
        None => text.push(file.kind.name()),
    };
    if let Some(size) = file.size {
        text.push(&format!(" · {}", megabytes(size)));
    }
    if let Some(percent) = percent.filter(|percent| *percent > 0) {
        text.push(&format!(" · {percent} %"));
    }
    Shown::silent(text.build())
}

fn megabytes(bytes: u64) -> String {
    if bytes < 1_000_000 {
        format!("{} KB", bytes.div_ceil(1000))
    } else {
        format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
    }
}

/// That nothing comes of a file; of one in an album, that the others go.
pub(super) fn refused(file: &Attachment, why: &str, is_one_of_many: bool) -> Shown {
    let mut text = TextBuilder::new();
    text.push("❌ I cannot give ").append(&name_of(file)).push(" to Claude: ").push(why);
    if is_one_of_many {
        text.newline().push("The rest of the album goes without it.");
    }
    Shown::loud(text.build())
}

/// That a picture is none.
pub(super) fn damaged(file: &Attachment) -> Shown {
    let mut text = TextBuilder::new();
    text.push("⚠️ As a picture, ").append(&name_of(file));
    text.push(" is damaged. Claude gets it as a file, and is not shown it.");
    Shown::silent(text.build())
}

/// What is missing, for Claude.
pub(super) fn missing(file: &Attachment) -> String {
    let name = shown_name(file).map(|name| format!(" “{name}”")).unwrap_or_default();
    format!("Missing here: a {}{name} that could not be fetched", file.kind.name())
}

/// What a file is, for Claude.
pub(super) fn describe(file: &Attachment) -> String {
    let kind = match file.kind {
        FileKind::Document => "Attached file",
        FileKind::Photo => "Attached picture",
        FileKind::Video => "Attached video",
        FileKind::VideoNote => "Attached video message",
        FileKind::Audio => "Attached audio file",
        FileKind::Voice => "Attached voice message",
        FileKind::Animation => "Attached animation",
        FileKind::Sticker | FileKind::MovingSticker => "Attached sticker",
    };
    kind.to_owned()
}
