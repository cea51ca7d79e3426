//! All sessions on this machine, also those of the terminal: their transcripts, and the index that spares reading them.
//!
//! One thread owns the index. Whoever asks waits for it, and nobody else does: no conversation needs it. Each answer
//! begins with a look at every transcript's size and time (`refresh`), so that the index is never behind.

mod refresh;

use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::claude::transcripts::Transcripts;
use crate::store::{Filter, SessionIndex, StoreError, TranscriptRow};

pub use refresh::{Refreshed, refresh};

/// Questions that may wait. They come from people; whoever asks more waits for room.
const QUESTIONS: usize = 16;
/// How long an answer may take. The first one reads every transcript, from a disk that may be slow.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many sessions fit, and a page of them, latest first.
pub type Page = (u32, Vec<TranscriptRow>);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The transcripts are on a disk that does not answer, or there are more than can be read in time.
    #[error("the transcripts could not be read within {} s", PATIENCE.as_secs())]
    Slow,
    /// The index cannot be kept, not even in memory.
    #[error(transparent)]
    Index(#[from] StoreError),
}

enum Question {
    Refresh,
    Page { filter: Filter, offset: u32, limit: u32, reply: oneshot::Sender<Result<Page, StoreError>> },
}

/// The sessions, as others hold them.
#[derive(Debug, Clone)]
pub struct Catalogue {
    questions: mpsc::Sender<Question>,
}

impl Catalogue {
    /// Starts the thread, whose index is in `state_dir`, and has it look at the transcripts already.
    pub fn start(transcripts: Transcripts, state_dir: &Path) -> std::io::Result<Self> {
        let (questions, inbox) = mpsc::channel(QUESTIONS);
        let state_dir = state_dir.to_owned();
        std::thread::Builder::new()
            .name("sessions".into())
            .spawn(move || serve(&transcripts, &state_dir, inbox))?;
        // There is room: the channel is new.
        let _ = questions.try_send(Question::Refresh);
        Ok(Self { questions })
    }

    /// The sessions that fit, as they are now.
    pub async fn page(&self, filter: Filter, offset: u32, limit: u32) -> Result<Page, CatalogueError> {
        let asking = async {
            let (reply, answer) = oneshot::channel();
            let question = Question::Page { filter, offset, limit, reply };
            self.questions.send(question).await.map_err(|_| StoreError::Closed)?;
            answer.await.map_err(|_| StoreError::Closed)?
        };
        Ok(timeout(PATIENCE, asking).await.map_err(|_| CatalogueError::Slow)??)
    }
}

/// Works until the last handle is gone.
fn serve(transcripts: &Transcripts, state_dir: &Path, mut inbox: mpsc::Receiver<Question>) {
    let mut index: Option<SessionIndex> = None;
    while let Some(question) = inbox.blocking_recv() {
        match question {
            Question::Refresh => {
                if let Err(error) = look(transcripts, state_dir, &mut index, |_| Ok(())) {
                    tracing::warn!(%error, "no index of sessions");
                }
            }
            // Whoever has given up asks for nothing any more.
            Question::Page { reply, .. } if reply.is_closed() => {}
            Question::Page { filter, offset, limit, reply } => {
                let page = |index: &SessionIndex| index.page(&filter, offset, limit);
                // Whoever no longer waits is no error.
                let _ = reply.send(look(transcripts, state_dir, &mut index, page));
            }
        }
    }
}

/// Brings the index up to what the transcripts are, then asks it. One that fails is made anew, once.
fn look<T>(
    transcripts: &Transcripts,
    state_dir: &Path,
    kept: &mut Option<SessionIndex>,
    then: impl Fn(&SessionIndex) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let look = |index: &mut SessionIndex| {
        let refreshed = refresh(transcripts, index)?;
        tracing::debug!(?refreshed, "looked at the transcripts");
        then(index)
    };
    let index = match kept {
        Some(index) => index,
        None => kept.insert(SessionIndex::open(state_dir)?),
    };
    look(index).or_else(|error| {
        tracing::warn!(%error, "the index of sessions does not work; it is made anew");
        // Closed before its file goes.
        *kept = None;
        look(kept.insert(SessionIndex::anew(state_dir)?))
    })
}
