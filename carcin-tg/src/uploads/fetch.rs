//! One file: fetched, looked at, listened to, and what becomes of its row.

use std::path::Path;
use std::time::Duration;

use tracing::error;

use super::download::{Failure, Unfinished};
use super::picture::{self, Verdict};
use super::tell::{damaged, describe, line, missing, refused};
use super::{Fetched, Workshop};
use crate::markdown::{MESSAGE_LIMIT, TextBuilder, split};
use crate::message::Message as Shown;
use crate::queue::{MessageRef, Priority};
use crate::store::bundle::{self, Part, ToFetch};
use crate::store::inbox::{self, End};
use crate::store::{StoreError, outbox};
use crate::update::{Attachment, Content, FileKind, Message, Update};

/// From this size on the user is shown how far it is.
const SLOW: u64 = 1_000_000;
/// Between two looks whether anybody still wants it.
const LOOK: Duration = Duration::from_secs(1);
/// How often a file is asked for that comes in part, or is another.
const MOST_ATTEMPTS: u32 = 5;
/// How much of what was said is shown back, in messages.
const MOST_SHOWN: usize = 3;
/// What stands behind the name of a picture that is none: whoever opens a picture by its name does not open this one. Claude
/// would, and the Messages API would then refuse the whole conversation.
const DAMAGED: &str = ".damaged";

/// What is fetched, and for whom.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) id: i64,
    pub(super) message: &'a Message,
    pub(super) file: &'a Attachment,
    pub(super) note: Option<MessageRef>,
}

/// What came of it.
struct Gathered {
    file: Unfinished,
    part: Part,
    told: Vec<Shown>,
}

impl Workshop {
    /// Fetches the file of a row. A row whose file there cannot be is refused, and the user is told.
    pub(super) async fn fetch(&self, row: &ToFetch) -> Result<Fetched, StoreError> {
        let id = row.id;
        let Some(Update::Message(message)) = self.gate.admit(&row.raw) else {
            self.store.write(move |tx| inbox::finish(tx, id, End::Cancelled)).await?;
            return Ok(Fetched::Settled);
        };
        let Content::File(file) = &message.content else {
            self.store.write(move |tx| bundle::fetched(tx, id, &Part::default())).await?;
            return Ok(Fetched::Settled);
        };
        let job = Job { id, message: &message, file, note: row.note };
        let job = Job { note: self.note(&job).await?, ..job };
        // Only this: once it is noted, nobody wants it any longer either.
        let gathered = tokio::select! {
            gathered = self.gather(&job) => Some(gathered),
            () = self.unwanted(id) => None,
        };
        let why = match gathered {
            None => {
                self.clear(&job).await?;
                return Ok(Fetched::Settled);
            }
            Some(Ok(gathered)) => return self.hand_on(&job, gathered).await,
            Some(Err(Failure::Again(wait))) => return Ok(Fetched::Again(wait)),
            Some(Err(Failure::Spoiled(why))) => {
                if self.fails_again(id) < MOST_ATTEMPTS {
                    return Ok(Fetched::Again(Duration::ZERO));
                }
                why
            }
            Some(Err(Failure::Never(why))) => why,
        };
        self.refuse(&job, &why).await?;
        Ok(Fetched::Settled)
    }

    async fn gather(&self, job: &Job<'_>) -> Result<Gathered, Failure> {
        let mut file = self.download(job).await?;
        let (words, mut told) = self.listen(job.file, file.path()).await;
        let mut what = describe(job.file);
        let is_picture = matches!(job.file.kind, FileKind::Photo | FileKind::Sticker);
        let mut image = false;
        if is_picture || is_named_as_picture(file.path()) {
            match look(file.path()).await {
                Verdict::Good => image = true,
                Verdict::TooLarge => {}
                Verdict::Damaged => {
                    file.rename(DAMAGED).map_err(|error| Failure::Never(super::not_stored(&error)))?;
                    "Attached file, a damaged picture".clone_into(&mut what);
                    told.push(damaged(job.file));
                }
            }
        }
        // What was said is what counts; the recording is for when nobody could listen to it.
        let kept = words.is_none().then(|| file.path().to_owned());
        Ok(Gathered { file, part: Part { path: kept, what, image, words, missing: false }, told })
    }

    async fn hand_on(&self, job: &Job<'_>, gathered: Gathered) -> Result<Fetched, StoreError> {
        let Gathered { file, part, told } = gathered;
        let (id, note, place, done) = (job.id, job.note, job.message.place, line("📎 ", job.file, None));
        let wanted = self.store.write(move |tx| {
            if !bundle::fetched(tx, id, &part)? {
                return Ok(false);
            }
            if let Some(note) = note {
                outbox::edit(tx, note, Priority::Live, &done)?;
            }
            for text in told {
                outbox::send(tx, place, Priority::Control, &text)?;
            }
            Ok(true)
        });
        if wanted.await? {
            file.keep();
        } else {
            self.clear(job).await?;
        }
        Ok(Fetched::Settled)
    }

    /// Returns when nobody wants the file any longer: it was taken back, or replaced by an edit.
    async fn unwanted(&self, id: i64) {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Ok(false) = self.store.read(move |tx| bundle::is_wanted(tx, id)).await {
                return;
            }
        }
    }

    /// Takes away the message that tells of a file that nobody wants.
    async fn clear(&self, job: &Job<'_>) -> Result<(), StoreError> {
        let Some(note) = job.note else { return Ok(()) };
        self.store.write(move |tx| outbox::delete(tx, note)).await
    }

    /// The message that says how far a large file is.
    async fn note(&self, job: &Job<'_>) -> Result<Option<MessageRef>, StoreError> {
        let slow = job.file.size.is_some_and(|size| size > SLOW) && !self.is_too_large(job);
        if job.note.is_some() || !slow {
            return Ok(job.note);
        }
        let (id, place, text) = (job.id, job.message.place, line("⬇️ ", job.file, Some(0)));
        let created = self.store.write(move |tx| {
            let note = outbox::create(tx, place, &text)?;
            bundle::set_note(tx, id, note)?;
            Ok(note)
        });
        Ok(Some(created.await?))
    }

    /// So many bytes are there.
    pub(super) async fn progress(&self, job: &Job<'_>, got: u64) {
        let Some((note, size)) = job.note.zip(job.file.size) else { return };
        let percent = got.saturating_mul(100) / size.max(1);
        let text = line("⬇️ ", job.file, Some(percent.min(100)));
        let shown = self.store.write(move |tx| outbox::edit(tx, note, Priority::Live, &text)).await;
        if let Err(error) = shown {
            error!("{error}");
        }
    }

    /// What is said in a voice message, and what to show the user of that.
    async fn listen(&self, file: &Attachment, path: &Path) -> (Option<String>, Vec<Shown>) {
        let Some(transcriber) = &self.settings.transcriber else { return (None, Vec::new()) };
        if file.kind != FileKind::Voice {
            return (None, Vec::new());
        }
        match transcriber.transcribe(path).await {
            Ok(words) => {
                let told = heard(&words);
                (Some(words), told)
            }
            Err(why) => {
                let mut text = TextBuilder::new();
                text.push("⚠️ Your voice message is not transcribed: ").push(&why);
                text.newline().push("Claude gets the recording.");
                (None, vec![Shown::silent(text.build())])
            }
        }
    }

    /// Nothing comes of the file: its user is told why, once. Of an album the others go, with its caption.
    async fn refuse(&self, job: &Job<'_>, why: &str) -> Result<(), StoreError> {
        let is_one_of_many = job.message.album.is_some();
        let text = refused(job.file, why, is_one_of_many);
        let gap = Part { what: missing(job.file), missing: true, ..Part::default() };
        let (id, note, place) = (job.id, job.note, job.message.place);
        let refused = self.store.write(move |tx| {
            if !bundle::is_wanted(tx, id)? {
                return Ok(());
            }
            if is_one_of_many {
                bundle::fetched(tx, id, &gap)?;
            } else {
                inbox::finish(tx, id, End::Refused)?;
            }
            match note {
                Some(note) => outbox::edit(tx, note, Priority::Control, &text),
                None => outbox::send(tx, place, Priority::Control, &text),
            }
        });
        refused.await
    }
}

/// What was heard, for the user to see before it runs.
fn heard(words: &str) -> Vec<Shown> {
    let mut text = TextBuilder::new();
    text.push("🎙 ").push(words);
    let parts = split(&text.build(), MESSAGE_LIMIT);
    let left = parts.len().saturating_sub(MOST_SHOWN);
    let mut shown: Vec<Shown> = parts.into_iter().take(MOST_SHOWN).map(Shown::silent).collect();
    if left > 0 {
        let mut text = TextBuilder::new();
        text.push(&format!(
            "ℹ️ So it goes on, {} characters in all; Claude gets them.",
            words.chars().count()
        ));
        shown.push(Shown::silent(text.build()));
    }
    shown
}

async fn look(path: &Path) -> Verdict {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || picture::look(&path)).await.unwrap_or(Verdict::Damaged)
}

/// Whether who goes by names takes it for a picture.
fn is_named_as_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["jpg", "jpeg", "png", "gif", "webp"].contains(&extension.to_ascii_lowercase().as_str())
}
