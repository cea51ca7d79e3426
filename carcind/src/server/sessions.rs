//! The requests about sessions: which there are, what was said in them, and going on with one.

use std::path::PathBuf;
use std::time::Duration;

use carcin_proto::event::{Event, SessionChanged};
use carcin_proto::request::{
    ListSessions, ListedSession, OpenElsewhere, Recent, RecentOf, RecentText, Resume, SessionList,
    SessionSummary, Sessions,
};
use carcin_proto::{ConversationKey, Envelope, Refusal, RefusalCode, Reply, SessionId};
use tokio::time::timeout;

use super::Server;
use super::connection::Session;
use super::requests::{Answered, MAX_LIST, internal, refuse};
use crate::catalogue::CatalogueError;
use crate::claude::transcripts::{Digest, Entry, OpenSession, Transcripts};
use crate::store::{Filter, TranscriptRow};

/// How long a conversation may take to say which session its Claude is in.
const LOOK: Duration = Duration::from_secs(2);
/// The longest text to search for, in bytes.
const MAX_SEARCH: usize = 1000;
/// How many sessions are named where the one asked for is not clear.
const CANDIDATES: u32 = 5;
/// How long a title is there, in characters.
const SHORT_TITLE: usize = 40;

impl Server {
    pub(super) async fn sessions(&self, sessions: Sessions) -> Answered {
        let rows = self.rows(Filter::default(), sessions.offset, sessions.limit).await?.1;
        let mut list: Vec<_> = rows.iter().map(summary_of).collect();
        for summary in &mut list {
            summary.conversation = self.owner(&summary.session).await?;
        }
        Ok(Reply::Sessions(list))
    }

    pub(super) async fn list_sessions(&self, list: ListSessions) -> Answered {
        if list.cwd.as_ref().is_some_and(|cwd| !cwd.is_absolute()) {
            return Err(refuse(RefusalCode::Invalid, "the folder of sessions is not an absolute path"));
        }
        if list.search.as_ref().is_some_and(|text| text.len() > MAX_SEARCH) {
            let text = format!("a text to search sessions for has at most {MAX_SEARCH} bytes");
            return Err(refuse(RefusalCode::Invalid, text));
        }
        let filter = Filter { cwd: list.cwd, search: list.search };
        let (total, rows) = self.rows(filter, list.offset, list.limit).await?;
        let site = self.site.clone();
        let open = blocking(move || site.open_elsewhere()).await?;
        let mut sessions = Vec::with_capacity(rows.len());
        for row in rows {
            let mut summary = summary_of(&row);
            summary.conversation = self.owner(&summary.session).await?;
            let open = open.iter().filter(|open| open.session == summary.session).map(told).collect();
            sessions.push(ListedSession { summary, first_prompt: row.prompt, open });
        }
        Ok(Reply::SessionList(SessionList { total, sessions }))
    }

    pub(super) async fn rows(
        &self,
        filter: Filter,
        offset: u32,
        limit: u32,
    ) -> Result<(u32, Vec<TranscriptRow>), Refusal> {
        let page = self.catalogue.page(filter, offset, limit.clamp(1, MAX_LIST)).await;
        page.map_err(|error| match error {
            CatalogueError::Slow => refuse(RefusalCode::Internal, error.to_string()).hint("try again later"),
            CatalogueError::Index(error) => internal(&error),
        })
    }

    pub(super) async fn recent(&self, recent: Recent) -> Answered {
        self.conversations.find(recent.conversation.clone()).await?;
        let limit = recent.limit.clamp(1, MAX_LIST);
        let said =
            self.site.store.recent(&recent.conversation, limit).await.map_err(|error| internal(&error))?;
        let text = |envelope: Envelope| match envelope.event {
            Event::TextBlock(block) => Some(RecentText { at: envelope.at, text: block.text }),
            _ => None,
        };
        let texts: Vec<_> = said.texts.into_iter().filter_map(text).collect();
        let missing = (limit as usize).saturating_sub(texts.len());
        let mut all = match said.session {
            Some(since) if missing > 0 => self.before(since, limit as usize).await?,
            _ => Vec::new(),
        };
        all.drain(..all.len().saturating_sub(missing));
        all.extend(texts);
        Ok(Reply::Recent(all))
    }

    /// What was said in a session before it became a conversation's: in a terminal, or in another conversation. A
    /// transcript that cannot be read says nothing.
    async fn before(&self, since: Envelope, limit: usize) -> Result<Vec<RecentText>, Refusal> {
        let Event::SessionChanged(SessionChanged { session: Some(session), .. }) = since.event else {
            return Ok(Vec::new());
        };
        let transcripts = self.site.transcripts.clone();
        let mut texts = blocking(move || {
            let mut found = transcripts.find(session.as_str()).into_iter();
            found.find_map(|entry| entry.recent_texts(limit).ok()).unwrap_or_default()
        })
        .await?;
        texts.retain(|text| text.at < since.at);
        Ok(texts)
    }

    pub(super) async fn recent_of(&self, recent: RecentOf) -> Answered {
        let found = self.one(&recent.session).await?;
        let limit = recent.limit.clamp(1, MAX_LIST) as usize;
        let texts = blocking(move || found.entry.recent_texts(limit)).await?.map_err(|error| {
            refuse(RefusalCode::Internal, format!("cannot read the session's transcript: {error}"))
        });
        Ok(Reply::Recent(texts?))
    }

    pub(super) async fn resume(&self, session: &Session, resume: Resume) -> Answered {
        let found = self.one(&resume.session).await?;
        let mut summary = found.summary();
        let _resuming = self.resuming.lock().await;
        self.check_free(&summary.session, &resume.conversation).await?;
        let (site, id, cwd) = (self.site.clone(), summary.session.clone(), summary.cwd.clone());
        let (open, folder_is_gone) = blocking(move || {
            let open: Vec<_> = site.open_elsewhere().into_iter().filter(|open| open.session == id).collect();
            (open, cwd.is_some_and(|cwd| !cwd.is_dir()))
        })
        .await?;
        if let Some(cwd) = summary.cwd.as_ref().filter(|_| folder_is_gone) {
            let text = format!("the session's folder {} does not exist any more", cwd.display());
            return Err(refuse(RefusalCode::Invalid, text).hint("make the folder again, then resume"));
        }
        if let Some(first) = open.first().filter(|_| !resume.force) {
            let text = format!("the session is open {}", first.place());
            let hint = "close it there, or take it over with --force: both then write to one transcript";
            return Err(refuse(RefusalCode::SessionOpen, text).hint(hint));
        }
        let handle = self.conversations.open(resume.conversation.clone()).await?;
        let over = open.iter().map(OpenSession::process).collect();
        handle.resume(summary.session.clone(), summary.cwd.clone(), over, session.client.clone()).await?;
        summary.conversation = Some(resume.conversation);
        Ok(Reply::Resumed(summary))
    }

    /// The session whose id begins like this.
    async fn one(&self, prefix: &str) -> Result<Found, Refusal> {
        let asked = prefix.trim().to_lowercase();
        let (transcripts, wanted) = (self.site.transcripts.clone(), asked.clone());
        let mut found = blocking(move || find(&transcripts, &wanted)).await?;
        match found.len() {
            0 => Err(self.none(&asked).await),
            1 => Ok(found.remove(0)),
            _ => {
                let named =
                    found.iter().map(|found| name(&found.entry.session, &found.digest.title())).collect();
                let text = format!("more than one session begins with {asked}: {}", list(named, found.len()));
                Err(refuse(RefusalCode::AmbiguousSession, text).hint("give more of the id"))
            }
        }
    }

    /// No id begins like this. Maybe a title was meant.
    async fn none(&self, asked: &str) -> Refusal {
        let refusal = refuse(RefusalCode::NoSession, format!("no session begins with {asked}"));
        let filter = Filter { cwd: None, search: Some(asked.to_owned()) };
        match self.catalogue.page(filter, 0, CANDIDATES).await {
            Ok((total, rows)) if total > 0 && !asked.is_empty() => {
                let named = rows.iter().map(|row| name(&row.session, &row.title)).collect();
                refusal.hint(format!("one of these may be meant: {}", list(named, total as usize)))
            }
            _ => refusal.hint("`carcin-ctl sessions` lists them"),
        }
    }

    /// Whether `taker` may have the session: no other conversation has it, and no Claude of another is still in it.
    async fn check_free(&self, session: &SessionId, taker: &ConversationKey) -> Result<(), Refusal> {
        if let Some(owner) = self.owner(session).await?.filter(|owner| owner != taker) {
            let text = format!("the conversation {owner} has this session");
            return Err(refuse(RefusalCode::SessionTaken, text).hint("begin a new session there first"));
        }
        for handle in self.conversations.all().await.iter().filter(|handle| handle.key() != taker) {
            // One that does not answer is stuck, and starts nothing; of one that fails nobody knows.
            let works = timeout(LOOK, handle.works_in(session.clone())).await;
            if matches!(works, Ok(Ok(true) | Err(_))) {
                let text =
                    format!("Claude is still leaving this session in the conversation {}", handle.key());
                return Err(refuse(RefusalCode::SessionTaken, text).hint("try again in a few seconds"));
            }
        }
        Ok(())
    }

    /// The conversation that has this session.
    async fn owner(&self, session: &SessionId) -> Result<Option<ConversationKey>, Refusal> {
        self.site.store.conversation_of(session).await.map_err(|error| internal(&error))
    }
}

/// A transcript that was asked for by its id.
struct Found {
    entry: Entry,
    digest: Digest,
}

impl Found {
    fn summary(&self) -> SessionSummary {
        SessionSummary {
            session: self.entry.session.clone(),
            title: self.digest.title(),
            cwd: self.digest.cwd.clone().map(PathBuf::from),
            branch: self.digest.branch.clone(),
            modified: self.entry.modified.into(),
            size: self.entry.size,
            conversation: None,
        }
    }
}

fn find(transcripts: &Transcripts, prefix: &str) -> Vec<Found> {
    let read = |entry: Entry| Some(Found { digest: entry.digest().ok()?.0, entry });
    let found = transcripts.find(prefix).into_iter().filter_map(read);
    found.filter(|found| found.digest.is_session()).collect()
}

/// A session for people to choose from.
fn name(session: &SessionId, title: &str) -> String {
    let mut short: String = title.chars().take(SHORT_TITLE).collect();
    if short.len() < title.len() {
        short.push('…');
    }
    if short.is_empty() { session.to_string() } else { format!("{session} \u{201c}{short}\u{201d}") }
}

fn list(mut named: Vec<String>, total: usize) -> String {
    named.truncate(CANDIDATES as usize);
    let more = total.saturating_sub(named.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", named.join(", "))
}

/// What a list says of a session, but for the conversation that has it.
fn summary_of(row: &TranscriptRow) -> SessionSummary {
    SessionSummary {
        session: row.session.clone(),
        title: row.title.clone(),
        cwd: row.cwd.clone().map(PathBuf::from),
        branch: row.branch.clone(),
        modified: row.modified(),
        size: row.stamp.size,
        conversation: None,
    }
}

fn told(open: &OpenSession) -> OpenElsewhere {
    OpenElsewhere {
        pid: open.pid,
        cwd: open.cwd.clone(),
        since: open.since,
        entrypoint: open.entrypoint.clone(),
        status: open.status.clone(),
    }
}

/// Reads files beside the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let failed = |_| refuse(RefusalCode::Internal, "reading the transcripts failed");
    tokio::task::spawn_blocking(work).await.map_err(failed)
}
