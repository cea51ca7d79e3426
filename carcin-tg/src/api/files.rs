//! Files, both ways.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::waits::Scope;
use super::{Api, ApiError, UPLOAD};

/// What is waited for where Telegram gives out no files for a while: it does not say there for how long.
const BUSY: Duration = Duration::from_secs(5);

/// What files are sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Pictures, which are shown.
    Photo,
    /// As they are.
    Document,
}

/// Files to send.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    /// Which; at least one, at most ten.
    pub files: &'a [PathBuf],
    /// As what.
    pub shape: Shape,
    /// Where to.
    pub chat: i64,
    /// The topic, where there is one.
    pub thread: Option<i64>,
    /// May be empty.
    pub caption: &'a str,
    /// Whether the phone stays quiet.
    pub silent: bool,
}

impl Api {
    /// Where the server has a file: a path below its own, or on a server of one's own an absolute one.
    pub async fn file_path(&self, id: &str) -> Result<String, ApiError> {
        let file = self.call("getFile", json!({"file_id": id})).await?;
        let path = file["file_path"].as_str().map(str::to_owned);
        path.ok_or_else(|| ApiError::BadRequest("the file is not there any longer".to_owned()))
    }

    /// Fetches a file piece by piece.
    pub async fn download(
        &self,
        path: &str,
        target: &mut (dyn AsyncWrite + Unpin + Send),
    ) -> Result<(), ApiError> {
        self.unless_told_to_wait(Scope::Method("download"), self.fetch(path, target)).await
    }

    async fn fetch(&self, path: &str, target: &mut (dyn AsyncWrite + Unpin + Send)) -> Result<(), ApiError> {
        let mut response = self.http.file(path, UPLOAD).await?;
        let status = response.status();
        if status.as_u16() == 429 {
            return Err(ApiError::RetryAfter(BUSY));
        }
        if status.is_client_error() {
            return Err(ApiError::BadRequest(format!("HTTP {status}")));
        }
        if !status.is_success() {
            return Err(ApiError::Unknown(format!("HTTP {status}")));
        }
        while let Some(piece) = response.chunk().await.map_err(|error| self.http.failure(&error))? {
            target.write_all(&piece).await.map_err(|error| not_written(&error))?;
        }
        Ok(())
    }

    /// Sends files: one as it is, several as an album. The id of the first message, where Telegram told it.
    pub async fn send_files(&self, upload: Upload<'_>) -> Result<Option<i64>, ApiError> {
        let mut body = json!({"chat_id": upload.chat, "disable_notification": upload.silent});
        let kind = match upload.shape {
            Shape::Photo => "photo",
            Shape::Document => "document",
        };
        let method = match (upload.files, upload.shape) {
            ([_], Shape::Photo) => "sendPhoto",
            ([_], Shape::Document) => "sendDocument",
            _ => "sendMediaGroup",
        };
        if let [_] = upload.files {
            body[kind] = attached(0).into();
            set_caption(&mut body, upload.caption);
        } else {
            let mut media: Vec<Value> = (0..upload.files.len())
                .map(|index| json!({"type": kind, "media": attached(index)}))
                .collect();
            if let Some(first) = media.first_mut() {
                set_caption(first, upload.caption);
            }
            body["media"] = media.into();
        }
        let mut parts = Vec::new();
        for path in upload.files {
            parts.push(part(path).await.map_err(|error| ApiError::File(error.to_string()))?);
        }
        self.upload(method, body, upload.thread, parts).await
    }

    /// Sends a text as a file, without a sound.
    pub async fn send_text_file(
        &self,
        chat: i64,
        thread: Option<i64>,
        name: String,
        content: String,
        caption: &str,
    ) -> Result<Option<i64>, ApiError> {
        let mut body = json!({"chat_id": chat, "disable_notification": true, "document": attached(0)});
        set_caption(&mut body, caption);
        self.upload("sendDocument", body, thread, vec![Part::text(content).file_name(name)]).await
    }

    /// Calls a method with files, to which its body refers by [`attached`]. The id of the first message that it made.
    async fn upload(
        &self,
        method: &str,
        mut body: Value,
        thread: Option<i64>,
        parts: Vec<Part>,
    ) -> Result<Option<i64>, ApiError> {
        if let Some(thread) = thread {
            body["message_thread_id"] = thread.into();
        }
        let scope = body["chat_id"].as_i64().map_or(Scope::Method("upload"), Scope::Chat);
        let mut form = Form::new();
        for (name, value) in body.as_object().into_iter().flatten() {
            // What is no string is written as JSON (Bot API, "Making requests").
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            form = form.text(name.clone(), text);
        }
        for (index, part) in parts.into_iter().enumerate() {
            form = form.part(part_name(index), part);
        }
        let made = self.unless_told_to_wait(scope, self.http.form(method, form, UPLOAD)).await?;
        Ok(made.get(0).unwrap_or(&made)["message_id"].as_i64())
    }
}

fn part_name(index: usize) -> String {
    format!("file{index}")
}

/// How a body names the file that is the part of this index.
fn attached(index: usize) -> String {
    format!("attach://{}", part_name(index))
}

fn set_caption(body: &mut Value, caption: &str) {
    if !caption.is_empty() {
        body["caption"] = caption.into();
    }
}

/// A file as it is read while it is sent. Its length is not told before: it may be one that is still being written.
async fn part(path: &Path) -> io::Result<Part> {
    let file = tokio::fs::File::open(path).await?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Part::stream(file).file_name(name))
}

fn not_written(error: &io::Error) -> ApiError {
    if is_full(error) {
        return ApiError::File("there is no room on the disk. Make some, and send it again.".to_owned());
    }
    ApiError::File(error.to_string())
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
