//! What a message carries.

use serde_json::Value;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text(String),
    /// A file, with or without a caption.
    File(Box<Attachment>),
    /// Something without a file that can be said in words, such as a location; said.
    Fact(String),
    /// Something that Carcin cannot give to Claude; what.
    Unsupported(&'static str),
    /// Something that Telegram itself reports, such as a pinned message.
    Service,
}

/// A file of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What it was sent as.
    pub kind: FileKind,
    /// By which the bot gets it.
    pub id: String,
    /// What makes it this file and no other: the same for as long as it is.
    pub unique: String,
    /// Its name, as the sender has it: not to be trusted.
    pub name: Option<String>,
    /// Its size in bytes, where Telegram tells.
    pub size: Option<u64>,
    /// What is written under it; may be empty.
    pub caption: String,
}

/// What a file was sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Any file.
    Document,
    /// A picture.
    Photo,
    /// A film.
    Video,
    /// A round film.
    VideoNote,
    /// Music.
    Audio,
    /// A voice note.
    Voice,
    /// A film without sound.
    Animation,
    /// A sticker that is a picture.
    Sticker,
    /// A sticker that moves.
    MovingSticker,
}

impl FileKind {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Document => "file",
            Self::Photo => "picture",
            Self::Video => "video",
            Self::VideoNote => "video message",
            Self::Audio => "audio file",
            Self::Voice => "voice message",
            Self::Animation => "animation",
            Self::Sticker | Self::MovingSticker => "sticker",
        }
    }

    /// The extension of one that has no name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Document => "bin",
            Self::Photo => "jpg",
            Self::Video | Self::VideoNote | Self::Animation => "mp4",
            Self::Audio => "mp3",
            Self::Voice => "ogg",
            Self::Sticker => "webp",
            Self::MovingSticker => "tgs",
        }
    }
}

impl Content {
    /// The words of it: the text or the caption.
    pub fn words(&self) -> &str {
        match self {
            Self::Text(text) | Self::Fact(text) => text,
            Self::File(file) => &file.caption,
            Self::Unsupported(_) | Self::Service => "",
        }
    }

    /// What makes its file this one and no other; empty where there is none.
    pub fn media(&self) -> &str {
        match self {
            Self::File(file) => &file.unique,
            _ => "",
        }
    }
}

/// Of a picture, no larger size is taken where there is a smaller one: the Messages API refuses larger ones, in every later
/// request too, once a conversation has more than 20 pictures.
pub(crate) const LARGEST_SIDE: u64 = 2_000;

/// The fields that carry a file. `animation` comes before `document`, since Telegram sets both.
const FILES: [(&str, FileKind); 8] = [
    ("photo", FileKind::Photo),
    ("animation", FileKind::Animation),
    ("document", FileKind::Document),
    ("voice", FileKind::Voice),
    ("audio", FileKind::Audio),
    ("video", FileKind::Video),
    ("video_note", FileKind::VideoNote),
    ("sticker", FileKind::Sticker),
];

/// The fields that carry what Carcin cannot give to Claude, with what people call it.
const UNSUPPORTED: [(&str, &str); 6] = [
    ("story", "stories"),
    ("game", "games"),
    ("paid_media", "paid media"),
    ("invoice", "invoices"),
    ("giveaway", "giveaways"),
    ("checklist", "checklists"),
];

/// What a message carries.
pub(super) fn of(raw: &Value) -> Content {
    if let Some(text) = raw["text"].as_str() {
        return Content::Text(text.to_owned());
    }
    let file = FILES.iter().find_map(|(field, kind)| file(raw, raw.get(field)?, *kind));
    if let Some(file) = file {
        return Content::File(Box::new(file));
    }
    if let Some(fact) = fact(raw) {
        return Content::Fact(fact);
    }
    UNSUPPORTED
        .iter()
        .find(|(field, _)| raw.get(field).is_some())
        .map_or(Content::Service, |(_, name)| Content::Unsupported(name))
}

fn file(raw: &Value, field: &Value, kind: FileKind) -> Option<Attachment> {
    // Of a picture there are several sizes.
    let sides = |size: &Value| ["width", "height"].map(|side| size[side].as_u64().unwrap_or(0));
    let rank = |size: &&Value| {
        let [width, height] = sides(size);
        let area = width.saturating_mul(height);
        if width.max(height) > LARGEST_SIDE { (false, u64::MAX - area) } else { (true, area) }
    };
    let file = match field {
        Value::Array(sizes) => sizes.iter().max_by_key(rank)?,
        one => one,
    };
    let is = |what: &str| file[what].as_bool().unwrap_or(false);
    let (kind, name) = match kind {
        FileKind::Sticker if is("is_animated") => (FileKind::MovingSticker, None),
        FileKind::Sticker if is("is_video") => (FileKind::MovingSticker, Some("sticker.webm")),
        kind => (kind, file["file_name"].as_str()),
    };
    let caption = raw["caption"].as_str().or_else(|| file["emoji"].as_str()).unwrap_or_default();
    let id = file["file_id"].as_str()?;
    Some(Attachment {
        kind,
        id: id.to_owned(),
        unique: file["file_unique_id"].as_str().unwrap_or(id).to_owned(),
        name: name.filter(|name| !name.trim().is_empty()).map(str::to_owned),
        size: file["file_size"].as_u64(),
        caption: caption.to_owned(),
    })
}

fn fact(raw: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let spot = |location: &Value| {
        let (latitude, longitude) = (location["latitude"].as_f64()?, location["longitude"].as_f64()?);
        Some(format!(
            "{latitude}, {longitude} (https://www.openstreetmap.org/?mlat={latitude}&mlon={longitude})"
        ))
    };
    if let Some(venue) = raw.get("venue") {
        let lines = [text(&venue["title"]), text(&venue["address"]), spot(&venue["location"])];
        return Some(format!("A place: {}", lines.into_iter().flatten().collect::<Vec<_>>().join(", ")));
    }
    if let Some(location) = raw.get("location") {
        return Some(format!("My location: {}", spot(location)?));
    }
    if let Some(contact) = raw.get("contact") {
        let names = [text(&contact["first_name"]), text(&contact["last_name"])];
        let name = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let card = text(&contact["vcard"]).map(|card| format!("\n{card}")).unwrap_or_default();
        return Some(format!(
            "A contact: {name}, {}{card}",
            contact["phone_number"].as_str().unwrap_or("no number")
        ));
    }
    if let Some(poll) = raw.get("poll") {
        let options = poll["options"].as_array().map(Vec::as_slice).unwrap_or_default();
        let options = options.iter().filter_map(|option| option["text"].as_str());
        let options = options.fold(String::new(), |list, option| list + "\n- " + option);
        return Some(format!("A poll: {}{options}", poll["question"].as_str().unwrap_or_default()));
    }
    let dice = raw.get("dice")?;
    Some(format!("{} {}", dice["emoji"].as_str().unwrap_or("🎲"), dice["value"].as_i64().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file_of(raw: &Value) -> Attachment {
        match of(raw) {
            Content::File(file) => *file,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn of_a_picture_the_largest_size_is_taken() {
        let raw = json!({"caption": "look", "photo": [
            {"file_id": "small", "width": 90, "height": 60}, {"file_id": "large", "width": 900, "height": 600, "file_size": 7},
            {"file_id": "middle", "width": 320, "height": 200}]});
        let file = file_of(&raw);
        assert_eq!((file.id.as_str(), file.size, file.caption.as_str()), ("large", Some(7), "look"));
    }

    #[test]
    fn a_picture_is_no_larger_than_claude_takes_where_there_is_a_smaller_one() {
        let size = |id: &str, side: u64| json!({"file_id": id, "width": side, "height": side / 2});
        let high = json!({"photo": [size("x", 800), size("y", 1280), size("w", 2560)]});
        assert_eq!(file_of(&high).id, "y");
        let huge = json!({"photo": [size("b", 9000), size("a", 8000)]});
        assert_eq!(file_of(&huge).id, "a");
    }

    #[test]
    fn an_animation_is_no_document_and_a_sticker_is_a_picture_unless_it_moves() {
        let animation =
            json!({"animation": {"file_id": "a", "file_name": "x.mp4"}, "document": {"file_id": "a"}});
        assert_eq!(file_of(&animation).kind, FileKind::Animation);
        let sticker = |more: Value| {
            let mut sticker = json!({"file_id": "s", "emoji": "😀"});
            sticker.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            file_of(&json!({"sticker": sticker}))
        };
        let still = sticker(json!({}));
        assert_eq!((still.kind, still.caption.as_str()), (FileKind::Sticker, "😀"));
        assert_eq!(sticker(json!({"is_animated": true})).kind.extension(), "tgs");
        assert_eq!(sticker(json!({"is_video": true})).name.as_deref(), Some("sticker.webm"));
    }

    #[test]
    fn what_has_no_file_is_said_in_words() {
        let spot = json!({"latitude": 52.5, "longitude": 13.25});
        let told = [
            json!({"location": spot}),
            json!({"venue": {"title": "Café", "address": "Here 1", "location": spot}, "location": spot}),
            json!({"contact": {"first_name": "Bo", "last_name": "Li", "phone_number": "+49 1"}}),
            json!({"poll": {"question": "Tea?", "options": [{"text": "yes"}, {"text": "no"}]}}),
            json!({"dice": {"emoji": "🎲", "value": 4}}),
        ]
        .map(|raw| of(&raw).words().to_owned());
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn service_messages_are_not_media() {
        assert_eq!(of(&json!({"story": {}})), Content::Unsupported("stories"));
        assert_eq!(of(&json!({"pinned_message": {}})), Content::Service);
    }
}
