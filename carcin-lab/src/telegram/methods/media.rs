//! Files: sending, albums, asking for one.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::send::{Envelope, caption_of, finish_caption};
use super::{Answer, Context};
use crate::telegram::error::ApiError;
use crate::telegram::files::{mime_of, picture_size};
use crate::telegram::model::{Media, MediaKind, Preview};
use crate::telegram::params::{Params, Upload};
use crate::telegram::text;
use crate::telegram::wire;

/// Bytes that `getFile` gives out.
const MAX_DOWNLOAD: usize = 20 * 1024 * 1024;
/// Bytes that a bot may send.
const MAX_UPLOAD: usize = 50 * 1024 * 1024;
/// Bytes that a bot may send to a server of its own.
const MAX_LOCAL_UPLOAD: usize = 2000 * 1024 * 1024;
/// Bytes of a picture that is shown.
const MAX_PHOTO: usize = 10 * 1024 * 1024;
/// Pixels of its width and height together, and how much longer one may be than the other.
const MAX_PHOTO_SIDES: u32 = 10_000;
const MAX_PHOTO_RATIO: u32 = 20;
/// Into which boxes Telegram scales a photo down, smallest first.
const PREVIEWS: [u32; 3] = [90, 320, 800];
/// A picture of one pixel, PNG.
const PIXEL: &[u8] = &[
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48, 0x44, 0x52, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 0x3A, 0x7E, 0x9B, 0x55, 0x00,
    0x00, 0x00, 0x0A, 0x49, 0x44, 0x41, 0x54, 0x78, 0xDA, 0x63, 0x60, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01,
    0xE5, 0x27, 0xDE, 0xFC, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
];

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
    if let Some(path) =
        reference.strip_prefix("file://").filter(|_| context.state.config.local_files.is_some())
    {
        let bytes =
            std::fs::read(path).map_err(|_| ApiError::bad("wrong file identifier/HTTP URL specified"))?;
        let upload = Upload { file_name: path.to_owned(), mime: None, bytes: Bytes::from(bytes) };
        return accept(context, kind, upload);
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
        previews: Vec::new(),
    })
}

fn upload(context: &mut Context<'_>, kind: MediaKind, name: &str) -> Result<Media, ApiError> {
    let upload = context.params.files.get(name);
    let upload = upload.ok_or_else(|| ApiError::bad("wrong file identifier/HTTP URL specified"))?.clone();
    accept(context, kind, upload)
}

fn accept(context: &mut Context<'_>, kind: MediaKind, upload: Upload) -> Result<Media, ApiError> {
    let size = upload.bytes.len();
    if size == 0 {
        return Err(ApiError::bad("file must be non-empty"));
    }
    let most = if context.state.config.local_files.is_some() { MAX_LOCAL_UPLOAD } else { MAX_UPLOAD };
    if size > most {
        return Err(ApiError::new(413, "Request Entity Too Large"));
    }
    if kind == MediaKind::Photo {
        check_photo(&upload)?;
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
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let picture = if kind == MediaKind::Photo { picture_size(&bytes) } else { None };
    let mut previews = Vec::new();
    let (width, height) = picture.unwrap_or((0, 0));
    let longest = width.max(height);
    for side in PREVIEWS.into_iter().filter(|side| *side < longest) {
        let scaled = |pixels: u32| u32::try_from(u64::from(pixels) * u64::from(side) / u64::from(longest));
        let pixels = |side| scaled(side).unwrap_or(u32::MAX).max(1);
        let file = state.files.add(&folder, name, mime, Bytes::from_static(PIXEL));
        previews.push(Preview { file_id: file.id, width: pixels(width), height: pixels(height) });
    }
    let file = state.files.add(&folder, name, mime, bytes);
    Media { kind, file_id: file.id, file_name: file.name, mime: file.mime, size, previews }
}

/// What Telegram takes as a photo.
fn check_photo(upload: &Upload) -> Result<(), ApiError> {
    let size = upload.bytes.len();
    if size > MAX_PHOTO {
        let name = &upload.file_name;
        return Err(ApiError::bad(format!("file \"{name}\" of size {size} bytes is too big for a photo")));
    }
    let (width, height) = picture_size(&upload.bytes).ok_or_else(|| ApiError::bad("IMAGE_PROCESS_FAILED"))?;
    let (short, long) = (width.min(height), width.max(height));
    if width.saturating_add(height) > MAX_PHOTO_SIDES || long > short.saturating_mul(MAX_PHOTO_RATIO) {
        return Err(ApiError::bad("PHOTO_INVALID_DIMENSIONS"));
    }
    Ok(())
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
    let Some(folder) = &context.state.config.local_files else {
        if file.bytes.len() > MAX_DOWNLOAD {
            return Err(ApiError::bad("file is too big"));
        }
        return Ok(wire::file(file, &file.path));
    };
    let path = folder.join(&file.path);
    let failed = |error: std::io::Error| ApiError::new(500, format!("Internal Server Error: {error}"));
    std::fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(failed)?;
    std::fs::write(&path, &file.bytes).map_err(failed)?;
    Ok(wire::file(file, &path.display().to_string()))
}
