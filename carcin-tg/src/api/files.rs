//! Files, both ways.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use teloxide::RequestError;
use teloxide::net::Download;
use teloxide::payloads::{SendDocumentSetters, SendMediaGroupSetters, SendPhotoSetters};
use teloxide::requests::{Request, Requester};
use teloxide::types::{
    ChatId, InputFile, InputMedia, InputMediaDocument, InputMediaPhoto, MessageId, ThreadId,
};
use tokio::io::AsyncWrite;

use super::failure::chain;
use super::waits::Scope;
use super::{Api, ApiError, GetFile};

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
        let file = self.call(&self.quick, GetFile(json!({"file_id": id}))).await?;
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
        use teloxide::DownloadError;
        self.upload.download_file(path, target).await.map_err(|error| match error {
            DownloadError::Network(error) => match error.status().map(|status| status.as_u16()) {
                Some(429) => ApiError::RetryAfter(BUSY),
                Some(400..500) => ApiError::BadRequest(self.token.scrub(&error.to_string())),
                _ => ApiError::Unreachable(self.token.scrub(&chain(&error))),
            },
            DownloadError::Io(error) if is_full(&error) => {
                ApiError::File("there is no room on the disk. Make some, and send it again.".to_owned())
            }
            DownloadError::Io(error) => ApiError::File(error.to_string()),
        })
    }

    /// Sends files: one as it is, several as an album. The id of the first message, where Telegram told it.
    pub async fn send_files(&self, upload: Upload<'_>) -> Result<Option<i64>, ApiError> {
        self.unless_told_to_wait(Scope::Chat(upload.chat), self.upload(upload)).await
    }

    async fn upload(&self, upload: Upload<'_>) -> Result<Option<i64>, ApiError> {
        let (chat, thread) = (ChatId(upload.chat), upload.thread.and_then(thread_id));
        let caption = Some(upload.caption).filter(|caption| !caption.is_empty());
        let [one] = upload.files else {
            let media = upload.files.iter().enumerate().map(|(index, path)| {
                let file = InputFile::file(path);
                let caption = caption.filter(|_| index == 0).map(str::to_owned);
                match upload.shape {
                    Shape::Photo => {
                        InputMedia::Photo(InputMediaPhoto { caption, ..InputMediaPhoto::new(file) })
                    }
                    Shape::Document => {
                        InputMedia::Document(InputMediaDocument { caption, ..InputMediaDocument::new(file) })
                    }
                }
            });
            let mut request = self.upload.send_media_group(chat, media).disable_notification(upload.silent);
            request.message_thread_id = thread;
            return self.sent(request.send().await.map(|messages| messages.first().map(|first| first.id)));
        };
        match upload.shape {
            Shape::Photo => {
                let mut request = self.upload.send_photo(chat, InputFile::file(one));
                request = request.disable_notification(upload.silent);
                request.caption = caption.map(str::to_owned);
                request.message_thread_id = thread;
                self.sent(request.send().await.map(|message| Some(message.id)))
            }
            Shape::Document => {
                self.document((chat, thread), InputFile::file(one), caption, upload.silent).await
            }
        }
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
        let file = InputFile::memory(content).file_name(name);
        let caption = Some(caption).filter(|caption| !caption.is_empty());
        let place = (ChatId(chat), thread.and_then(thread_id));
        self.unless_told_to_wait(Scope::Chat(chat), self.document(place, file, caption, true)).await
    }

    async fn document(
        &self,
        (chat, thread): (ChatId, Option<ThreadId>),
        file: InputFile,
        caption: Option<&str>,
        silent: bool,
    ) -> Result<Option<i64>, ApiError> {
        let mut request = self.upload.send_document(chat, file).disable_notification(silent);
        request.caption = caption.map(str::to_owned);
        request.message_thread_id = thread;
        self.sent(request.send().await.map(|message| Some(message.id)))
    }

    fn sent(&self, sent: Result<Option<MessageId>, RequestError>) -> Result<Option<i64>, ApiError> {
        match sent {
            Ok(id) => Ok(id.map(|id| i64::from(id.0))),
            // Sent, and told in words that teloxide does not know.
            Err(RequestError::InvalidJson { raw, .. }) if is_ok(&raw) => Ok(None),
            Err(error) => Err(self.failure(error)),
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

fn thread_id(thread: i64) -> Option<ThreadId> {
    i32::try_from(thread).ok().map(|id| ThreadId(MessageId(id)))
}

fn is_ok(raw: &str) -> bool {
    serde_json::from_str::<Value>(raw).is_ok_and(|answer| answer["ok"] == true)
}
