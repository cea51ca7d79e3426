//! Files: sending, albums, asking for one.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::send::{Envelope, caption_of, finish_caption};
use super::{Answer, Context};
use crate::telegram::error::ApiError;
use crate::telegram::files::{mime_of, picture_size};
use crate::telegram::model::{Media, MediaKind};
use crate::telegram::params::Params;
use crate::telegram::text;
use crate::telegram::wire;

/// Bytes that `getFile` gives out.
const MAX_DOWNLOAD: usize = 20 * 1024 * 1024;
/// Bytes that a bot may send.
const MAX_UPLOAD: usize = 50 * 1024 * 1024;
/// Bytes of a picture that is shown.
const MAX_PHOTO: usize = 10 * 1024 * 1024;

pub(super) fn send_document(context: &mut Context<'_>) -> Answer {
    send_one(context, MediaKind::Document)
}

pub(super) fn send_photo(context: &mut Context<'_>) -> Answer {
    send_one(context, MediaKind::Photo)
}

pub(super) fn send_video(context: &mut Context<'_>) -> Answer {
    send_one(context, MediaKind::Video)
}

pub(super) fn send_audio(context: &mut Context<'_>) -> Answer {
    send_one(context, MediaKind::Audio)
}

pub(super) fn send_voice(context: &mut Context<'_>) -> Answer {
    send_one(context, MediaKind::Voice)
}

pub(super) fn send_animation(context: &mut Context<'_>) -> Answer {
    send_one(context, MediaKind::Animation)
}

fn send_one(context: &mut Context<'_>, kind: MediaKind) -> Answer {
    let envelope = Envelope::read(context)?;
    let mut content = caption_of(context, None)?;
    let name = kind.field();
    let media = if context.params.files.contains_key(name) {
        upload(context, kind, name)?
    } else {
        let reference = context.params.str(name);
        let reference =
            reference.ok_or_else(|| ApiError::bad(format!("there is no {name} in the request")))?;
        resolve(context, kind, &reference)?
    };
    content.media = Some(media);
    envelope.send(context, content, None)
}

/// A file by `attach://name` or by its id. The lab fetches no URL: there is no network.
fn resolve(context: &mut Context<'_>, kind: MediaKind, reference: &str) -> Result<Media, ApiError> {
    if let Some(name) = reference.strip_prefix("attach://") {
        return upload(context, kind, name);
    }
    if reference.starts_with("http://") || reference.starts_with("https://") {
        return Err(ApiError::bad("failed to get HTTP URL content"));
    }
    let file = context.state.files.get(reference);
    let file = file.ok_or_else(|| ApiError::bad("wrong file identifier/HTTP URL specified"))?;
    Ok(Media {
        kind,
        file_id: file.id.clone(),
        file_name: file.name.clone(),
        mime: file.mime.clone(),
        size: u64::try_from(file.bytes.len()).unwrap_or(u64::MAX),
    })
}

fn upload(context: &mut Context<'_>, kind: MediaKind, name: &str) -> Result<Media, ApiError> {
    let upload = context.params.files.get(name);
    let upload = upload.ok_or_else(|| ApiError::bad("wrong file identifier/HTTP URL specified"))?.clone();
    let size = upload.bytes.len();
    if size == 0 {
        return Err(ApiError::bad("file must be non-empty"));
    }
    if size > MAX_UPLOAD {
        return Err(ApiError::new(413, "Request Entity Too Large"));
    }
    if kind == MediaKind::Photo {
        if size > MAX_PHOTO {
            return Err(ApiError::bad("PHOTO_INVALID_DIMENSIONS"));
        }
        picture_size(&upload.bytes).ok_or_else(|| ApiError::bad("IMAGE_PROCESS_FAILED"))?;
    }
    let mime = upload.mime.filter(|mime| mime != "application/octet-stream");
    let mime = mime.unwrap_or_else(|| mime_of(&upload.file_name).to_owned());
    Ok(store(context.state, kind, &clean_name(&upload.file_name), &mime, upload.bytes))
}

/// Keeps a file and describes it.
pub(in crate::telegram) fn store(
    state: &mut crate::telegram::state::LabState,
    kind: MediaKind,
    name: &str,
    mime: &str,
    bytes: Bytes,
) -> Media {
    let folder = format!("{}s", kind.field());
    let file = state.files.add(&folder, name, mime, bytes);
    Media {
        kind,
        file_id: file.id,
        file_name: file.name,
        mime: file.mime,
        size: u64::try_from(file.bytes.len()).unwrap_or(u64::MAX),
    }
}

/// Telegram keeps the last part of a path, without control characters.
fn clean_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|character| !character.is_control()).take(255).collect();
    if clean.is_empty() { "file".to_owned() } else { clean }
}

/// How many messages an album makes; at least one for flood control.
pub(super) fn album_size(params: &Params) -> u32 {
    let items = params.json("media", "media").ok().flatten();
    let count = items.and_then(|items| Some(items.as_array()?.len())).unwrap_or(1);
    u32::try_from(count).unwrap_or(u32::MAX).max(1)
}

pub(super) fn send_media_group(context: &mut Context<'_>) -> Answer {
    let envelope = Envelope::read(context)?;
    let media = context.params.json("media", "media")?.unwrap_or_else(|| json!([]));
    let items = media.as_array().ok_or_else(|| ApiError::bad("expected an Array of InputMedia"))?;
    match items.len() {
        0 => return Err(ApiError::bad("there are no messages to send")),
        1 => return Err(ApiError::bad("there must be at least 2 media in the album")),
        2..=10 => {}
        _ => return Err(ApiError::bad("too many messages to send as an album")),
    }
    let kinds = items.iter().map(album_kind).collect::<Result<Vec<_>, _>>()?;
    let alone = |kind| kinds.contains(&kind) && kinds.iter().any(|other| *other != kind);
    if alone(MediaKind::Document) || alone(MediaKind::Audio) {
        return Err(ApiError::bad("can't use the media of the specified type in the album"));
    }
    let mut contents = Vec::new();
    for (item, kind) in items.iter().zip(kinds) {
        if item.get("parse_mode").is_some_and(|mode| !mode.is_null()) {
            return Err(ApiError::bad("the lab refuses parse modes by design: send entities"));
        }
        let caption = item["caption"].as_str().unwrap_or_default();
        let caption = text::parse(caption, item.get("caption_entities").filter(|value| !value.is_null()))?;
        let media = resolve(context, kind, item["media"].as_str().unwrap_or_default())?;
        contents.push(finish_caption(caption, Some(media))?);
    }
    let album = uuid::Uuid::new_v4().as_u128().to_string();
    let mut sent = Vec::new();
    for content in contents {
        sent.push(envelope.send(context, content, Some(album.clone()))?);
    }
    Ok(Value::Array(sent))
}

fn album_kind(item: &Value) -> Result<MediaKind, ApiError> {
    match item["type"].as_str() {
        Some("document") => Ok(MediaKind::Document),
        Some("photo") => Ok(MediaKind::Photo),
        Some("video") => Ok(MediaKind::Video),
        Some("audio") => Ok(MediaKind::Audio),
        Some("animation") => Err(ApiError::bad("can't use the media of the specified type in the album")),
        _ => Err(ApiError::bad("can't parse InputMedia: type must be one of photo, video, audio, document")),
    }
}

pub(super) fn get_file(context: &mut Context<'_>) -> Answer {
    let id = context.params.str("file_id").ok_or_else(|| ApiError::bad("file_id not specified"))?;
    let file = context.state.files.get(&id);
    let file = file.ok_or_else(|| ApiError::bad("wrong file_id or the file is temporarily unavailable"))?;
    if file.bytes.len() > MAX_DOWNLOAD {
        return Err(ApiError::bad("file is too big"));
    }
    Ok(wire::file(file))
}
