//! Files on their way out: what they are sent as, and what is said where they cannot be.
//!
//! A job is one call, so that a crash repeats one at most. A job that turns out to need several (a picture that is too
//! large for one among others, a file that is gone) is replaced by as many.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::json;
use tracing::debug;

use crate::api::{Api, ApiError, Shape, Upload};
use crate::files::{FileJob, is_picture};
use crate::markdown::CAPTION_LIMIT;

/// The largest file that the cloud Bot API takes, in bytes.
const MAX_FILE: u64 = 50_000_000;
/// The largest that a server of one's own takes.
const MAX_FILE_OWN: u64 = 2_000_000_000;
/// The largest picture, in bytes.
const MAX_PHOTO: u64 = 10_000_000;
/// What a job came to.
#[derive(Debug)]
pub(super) enum Delivered {
    /// It is sent, as this message where that is known.
    Sent(Option<i64>),
    /// It takes several calls: these.
    Split(Vec<FileJob>),
}

/// Sends a job's files.
pub(super) async fn deliver(api: &Api, body: serde_json::Value) -> Result<Delivered, ApiError> {
    let mut files: FileJob = serde_json::from_value(body)
        .map_err(|error| ApiError::BadRequest(format!("an unreadable job: {error}")))?;
    if let Some(content) = files.content.take() {
        let name = files.path.unwrap_or_default().to_string_lossy().into_owned();
        let caption: String = files.caption.chars().take(CAPTION_LIMIT / 2).collect();
        let sent = api.send_text_file(files.chat_id, files.message_thread_id, name, content, &caption);
        return sent.await.map(Delivered::Sent);
    }
    files.files.extend(files.path.take());
    let mut plan = plan(&files, if api.is_own_server() { MAX_FILE_OWN } else { MAX_FILE }).await;
    if plan.len() > 1 {
        return Ok(Delivered::Split(plan));
    }
    let Some(one) = plan.pop() else { return Ok(Delivered::Sent(None)) };
    send(api, &one).await
}

/// The files of a call one by one: what is wrong with one of them, or with all of them together, does no harm to the
/// others.
fn one_by_one(call: &FileJob) -> Vec<FileJob> {
    let mut calls: Vec<FileJob> =
        call.files.iter().map(|file| FileJob { files: vec![file.clone()], ..call.clone() }).collect();
    settle_extras(&mut calls, call);
    calls
}

/// The first call has the job's caption, and the last one makes its sound, where it makes any.
fn settle_extras(calls: &mut [FileJob], job: &FileJob) {
    let last = calls.len().saturating_sub(1);
    for (index, call) in calls.iter_mut().enumerate() {
        call.caption = if index == 0 { job.caption.clone() } else { String::new() };
        call.silent = job.silent || index < last;
    }
}

/// The calls that it takes to send these files as they are now.
async fn plan(job: &FileJob, most: u64) -> Vec<FileJob> {
    if job.sorry.is_some() {
        return vec![job.clone()];
    }
    let (mut photos, mut documents, mut sorry) = (Vec::new(), Vec::new(), Vec::new());
    for file in &job.files {
        match look(file, most).await {
            Err(why) if job.optional => debug!("a picture is not shown: {}: {why}", file.display()),
            Err(why) => sorry.push(format!("❌ I cannot send {}: {why}", file.display())),
            Ok(size) => {
                let as_photo = job.shape != Some(Shape::Document) && is_picture(file) && size <= MAX_PHOTO;
                if as_photo { &mut photos } else { &mut documents }.push(file.clone());
            }
        }
    }
    let bare = FileJob { files: Vec::new(), path: None, shape: None, ..job.clone() };
    let mut calls = Vec::new();
    for (shape, files) in [(Shape::Photo, photos), (Shape::Document, documents)] {
        if !files.is_empty() {
            calls.push(FileJob { files, shape: Some(shape), ..bare.clone() });
        }
    }
    if !sorry.is_empty() {
        calls.push(FileJob { sorry: Some(sorry.join("\n")), ..bare });
    }
    settle_extras(&mut calls, job);
    calls
}

/// The size of a file that can be sent; an error says why it cannot be.
async fn look(file: &Path, most: u64) -> Result<u64, String> {
    let data = match tokio::fs::metadata(file).await {
        Ok(data) if data.is_dir() => return Err("it is a directory".to_owned()),
        Ok(data) if !data.is_file() => return Err("it is not a file".to_owned()),
        Ok(data) if data.len() == 0 => return Err("it is empty".to_owned()),
        Ok(data) if data.len() > most => {
            let (has, takes) = (data.len().div_ceil(1_000_000), most / 1_000_000);
            return Err(format!("it has {has} MB, and Telegram takes {takes}"));
        }
        Ok(data) => data,
        Err(error) => return Err(unreadable(&error)),
    };
    // Permission shows only now.
    tokio::fs::File::open(file).await.map(|_| data.len()).map_err(|error| unreadable(&error))
}

/// What people are told of the errors that happen.
fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "I may not read it".to_owned(),
        _ => error.to_string(),
    }
}

async fn send(api: &Api, call: &FileJob) -> Result<Delivered, ApiError> {
    if let Some(sorry) = &call.sorry {
        return say(api, call, sorry).await.map(Delivered::Sent);
    }
    let caption: String = call.caption.chars().take(CAPTION_LIMIT / 2).collect();
    let upload = |shape| Upload {
        files: &call.files,
        shape,
        chat: call.chat_id,
        thread: call.message_thread_id,
        caption: &caption,
        silent: call.silent,
    };
    let shape = call.shape.unwrap_or(Shape::Document);
    let mut sent = api.send_files(upload(shape)).await;
    if let ([_, _, ..], Err(ApiError::File(_) | ApiError::BadRequest(_))) = (&call.files[..], &sent) {
        return Ok(Delivered::Split(one_by_one(call)));
    }
    if let (Shape::Photo, Err(ApiError::BadRequest(_))) = (shape, &sent) {
        // Too long and thin, or not what its name says.
        sent = api.send_files(upload(Shape::Document)).await;
    }
    let sent = match sent {
        Err(ApiError::File(why) | ApiError::BadRequest(why)) if call.optional => {
            debug!("a picture is not shown: {why}");
            Ok(None)
        }
        Err(ApiError::File(why) | ApiError::BadRequest(why)) => {
            let names: Vec<String> = call.files.iter().map(|file| file.display().to_string()).collect();
            // As Telegram's web server says it (HTTP 413).
            let too_large = why.contains("Entity Too Large");
            let why = if too_large { "it is larger than Telegram takes" } else { why.as_str() };
            say(api, call, &format!("❌ I cannot send {}: {why}", names.join(", "))).await
        }
        sent => sent,
    };
    sent.map(Delivered::Sent)
}

/// Says why there is no file.
async fn say(api: &Api, call: &FileJob, text: &str) -> Result<Option<i64>, ApiError> {
    let text: String = text.chars().take(crate::markdown::MESSAGE_LIMIT / 2).collect();
    let mut body = json!({"chat_id": call.chat_id, "text": text, "disable_notification": call.silent,
                          "link_preview_options": {"is_disabled": true}});
    if let Some(thread) = call.message_thread_id {
        body["message_thread_id"] = thread.into();
    }
    api.send(body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_call_has_one_shape_and_what_cannot_be_sent_is_said_in_one_line_each() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, size: u64| {
            let path = dir.path().join(name);
            std::fs::File::create(&path).expect("a file").set_len(size).expect("a size");
            path
        };
        let job = FileJob {
            chat_id: 5,
            message_thread_id: None,
            path: None,
            content: None,
            files: vec![
                file("a.png", 9),
                file("large.png", MAX_PHOTO + 1),
                file("huge.bin", MAX_FILE + 1),
                file("empty.txt", 0),
                dir.path().to_owned(),
                dir.path().join("none.txt"),
                file("b.jpg", 9),
            ],
            caption: "as asked".into(),
            silent: true,
            shape: None,
            sorry: None,
            optional: false,
        };
        let calls = plan(&job, MAX_FILE).await;
        assert_eq!(calls.len(), 3);
        assert_eq!((calls[0].shape, calls[0].files.len()), (Some(Shape::Photo), 2));
        assert_eq!((calls[1].shape, calls[1].files.len()), (Some(Shape::Document), 1));
        assert_eq!((calls[0].caption.as_str(), calls[1].caption.as_str()), ("as asked", ""));
        let loud = plan(&FileJob { silent: false, ..job.clone() }, MAX_FILE).await;
        assert_eq!(loud.iter().map(|call| call.silent).collect::<Vec<_>>(), [true, true, false], "one sound");
        let sorry = calls[2].sorry.clone().expect("lines");
        insta::assert_snapshot!(sorry.replace(&dir.path().display().to_string(), "/dir"));
        for call in &calls {
            assert_eq!(plan(call, MAX_FILE).await.len(), 1, "a call is not split again");
        }
        let gone = FileJob { files: vec![dir.path().join("none.png")], optional: true, ..job };
        assert_eq!(plan(&gone, MAX_FILE).await, [], "nobody asked for it");
    }
}
