//! What each request does.

use std::path::Path;

use carcin_proto::event::MAX_EXCERPT;
use carcin_proto::request::{
    Answer, ConversationStatus, New, Notify, PendingRequest, SendFile, Status, SubmitWith, Withdraw,
    Withdrawal,
};
use carcin_proto::{Conversation, ConversationKey, Millis, Refusal, RefusalCode, Reply, Request, preamble};

use super::Server;
use super::connection::Session;
use crate::claude::control;
use crate::conversation::Handle;
use crate::folder;
use crate::store::StoreError;

/// The longest list that is given at once.
pub(super) const MAX_LIST: u32 = 100;
/// The most pictures of a prompt. More would not fit either.
const MAX_IMAGES: usize = 20;
/// The longest caption, in characters: what Telegram takes.
const MAX_CAPTION: usize = 1024;

pub(super) type Answered = Result<Reply, Refusal>;

pub(super) fn refuse(code: RefusalCode, message: impl Into<String>) -> Refusal {
    Refusal::new(code, message)
}

pub(super) fn internal(error: &StoreError) -> Refusal {
    refuse(RefusalCode::Internal, error.to_string()).hint("carcind's log says more")
}

impl Server {
    /// Answers a request, after its effect is durable.
    pub(super) async fn answer(&self, session: &Session, request: Request) -> Answered {
        let harmless = matches!(request, Request::Status | Request::Notify(_) | Request::SendFile(_));
        if session.within_claude && !harmless {
            return Err(refuse(
                RefusalCode::NotAllowed,
                "what runs inside Claude may only use status, notify and send-file",
            ));
        }
        match request {
            Request::Status => Ok(Reply::Status(Box::new(self.status()))),
            Request::Submit(submit) => {
                let handle = self.conversations.open(submit.conversation.clone()).await?;
                Ok(Reply::Submitted(handle.submit(submit).await?))
            }
            Request::Answer(answer) => self.answer_request(answer).await,
            Request::Stop(stop) => {
                let handle = self.conversations.find(stop.conversation).await?;
                Ok(Reply::Stopped(handle.stop(stop.by).await?))
            }
            Request::New(new) => self.new_session(session, new).await,
            Request::Resume(resume) => self.resume(session, resume).await,
            Request::Sessions(sessions) => self.sessions(sessions).await,
            Request::Recent(recent) => self.recent(recent).await,
            Request::Pending(conversation) => Ok(self.pending(conversation.as_ref())),
            Request::Configure(configure) => {
                check_known(
                    "permission mode",
                    configure.permission_mode.as_deref(),
                    &control::PERMISSION_MODES,
                )?;
                check_known("effort", configure.effort.as_deref(), &control::EFFORTS)?;
                let handle = self.conversations.open(configure.conversation.clone()).await?;
                handle.configure(configure).await?;
                Ok(Reply::Done)
            }
            Request::Notify(notify) => self.notify(notify).await,
            Request::SendFile(file) => self.send_file(file).await,
            Request::Subscribe(_) => Err(refuse(RefusalCode::Invalid, "a connection subscribes once")),
            Request::Shutdown => self.shutdown(session).await,
            Request::ListSessions(list) => self.list_sessions(list).await,
            Request::RecentOf(recent) => self.recent_of(recent).await,
            Request::Changes(conversation) => self.changes(conversation).await,
            Request::Folders(folders) => self.folders(folders).await,
            Request::Withdraw(withdraw) => self.withdraw(withdraw).await,
            Request::SubmitWith(submit) => self.submit_with(submit).await,
            Request::About(conversation) => self.about(conversation).await,
            Request::Inquire(inquire) => {
                let handle = self.conversations.find(inquire.conversation).await?;
                Ok(Reply::Inquired(handle.inquire(inquire.about).await?))
            }
            Request::StopTask(stop) => {
                let handle = self.conversations.find(stop.conversation).await?;
                handle.stop_task(stop.task).await?;
                Ok(Reply::Done)
            }
        }
    }

    async fn find_or_latest(&self, key: Option<ConversationKey>) -> Result<Handle, Refusal> {
        if let Some(key) = key {
            return self.conversations.find(key).await;
        }
        let snapshot = self.site.store.snapshot();
        let latest = snapshot.latest().map(|(key, _)| key.clone());
        let none = || refuse(RefusalCode::NoConversation, "there is no conversation yet");
        self.conversations.find(latest.ok_or_else(none)?).await
    }

    fn status(&self) -> Status {
        let snapshot = self.site.store.snapshot();
        let mut conversations: Vec<_> =
            snapshot.conversations.iter().map(|(key, at)| conversation_status(key, at)).collect();
        conversations.sort_by_key(|status| std::cmp::Reverse(status.active_at));
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: preamble::VERSION.to_string(),
            pid: std::process::id(),
            uptime_ms: Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)),
            socket: self.socket.clone(),
            last_seq: snapshot.seq,
            claude: self.claude.borrow().clone(),
            conversations,
            clients: self.places.status(),
            problems: [self.problems.borrow().clone(), self.conversations.problems()].concat(),
        }
    }

    async fn submit_with(&self, SubmitWith { submit, images }: SubmitWith) -> Answered {
        if images.len() > MAX_IMAGES {
            let text = format!("{} pictures are too many, at most {MAX_IMAGES} are taken", images.len());
            return Err(refuse(RefusalCode::Invalid, text));
        }
        if let Some(relative) = images.iter().find(|path| !path.is_absolute()) {
            let text = format!("{} is not an absolute path", relative.display());
            return Err(refuse(RefusalCode::Invalid, text));
        }
        let handle = self.conversations.open(submit.conversation.clone()).await?;
        Ok(Reply::Submitted(handle.submit_with(submit, images).await?))
    }

    async fn withdraw(&self, withdraw: Withdraw) -> Answered {
        let withdrawal = match self.conversations.find(withdraw.conversation).await {
            Ok(handle) => handle.withdraw(withdraw.key).await?,
            Err(refusal) if refusal.code == RefusalCode::NoConversation => Withdrawal::Unknown,
            Err(refusal) => return Err(refusal),
        };
        Ok(Reply::Withdrawn(withdrawal))
    }

    async fn answer_request(&self, answer: Answer) -> Answered {
        let row = self.site.store.request(&answer.request).await.map_err(|error| internal(&error))?;
        let Some(row) = row else {
            return Err(refuse(RefusalCode::NoRequest, format!("nobody asks {}", answer.request))
                .hint("`carcin-ctl pending` shows what is asked"));
        };
        Ok(Reply::Answered(self.conversations.find(row.conversation).await?.answer(answer).await?))
    }

    async fn new_session(&self, session: &Session, new: New) -> Answered {
        if let Some(cwd) = &new.cwd {
            if !cwd.is_absolute() {
                return Err(refuse(
                    RefusalCode::Invalid,
                    format!("{} is not an absolute path", cwd.display()),
                ));
            }
            folder::check(cwd).map_err(|why| refuse(RefusalCode::Invalid, why))?;
        }
        self.conversations.open(new.conversation).await?.new_session(new.cwd, session.client.clone()).await?;
        Ok(Reply::Done)
    }

    fn pending(&self, conversation: Option<&ConversationKey>) -> Reply {
        let snapshot = self.site.store.snapshot();
        let pending = snapshot
            .conversations
            .iter()
            .filter(|(key, _)| conversation.is_none_or(|wanted| wanted == *key))
            .flat_map(|(key, at)| at.requests.iter().map(move |(at, opened)| (key, at, opened)))
            .map(|(key, at, opened)| PendingRequest {
                conversation: key.clone(),
                at: *at,
                opened: opened.clone(),
            })
            .collect();
        Reply::Pending(pending)
    }

    async fn notify(&self, notify: Notify) -> Answered {
        if notify.text.trim().is_empty() || notify.text.len() > MAX_EXCERPT {
            let text = format!("a notification has 1 to {MAX_EXCERPT} bytes, this one {}", notify.text.len());
            return Err(refuse(RefusalCode::Invalid, text));
        }
        self.find_or_latest(notify.conversation).await?.notify(notify.text, notify.topic).await?;
        Ok(Reply::Done)
    }

    async fn send_file(&self, file: SendFile) -> Answered {
        check_file(&file.path).map_err(|why| refuse(RefusalCode::Invalid, why))?;
        if file.caption.chars().count() > MAX_CAPTION {
            return Err(refuse(
                RefusalCode::Invalid,
                format!("a caption has at most {MAX_CAPTION} characters"),
            ));
        }
        self.find_or_latest(file.conversation).await?.offer_file(file.path, file.caption).await?;
        Ok(Reply::Done)
    }

    /// Ends all Claudes. In a task of its own: once begun it is carried through, whoever asked for it. Asked for
    /// twice, each is answered when all are gone.
    async fn shutdown(&self, session: &Session) -> Answered {
        let (conversations, ended) = (self.conversations.clone(), self.ended.clone());
        let by = session.client.clone();
        let ending = tokio::spawn(async move {
            conversations.shutdown(by).await;
            let _ = ended.try_send(());
        });
        let _ = ending.await;
        Ok(Reply::Done)
    }
}

pub(super) fn conversation_status(key: &ConversationKey, at: &Conversation) -> ConversationStatus {
    ConversationStatus {
        key: key.clone(),
        session_id: at.session.clone(),
        cwd: at.cwd.clone(),
        state: at.state(),
        claude_pid: at.claude_pid,
        queued: u32::try_from(at.queue.len()).unwrap_or(u32::MAX),
        model: at.settings.model.clone(),
        permission_mode: at.settings.permission_mode.clone(),
        active_at: at.active_at,
        pending: u32::try_from(at.requests.len()).unwrap_or(u32::MAX),
        unrecognised: at.unrecognised,
    }
}

/// What there is none of would be kept: no Claude of the conversation would start any more, or all would ignore it.
fn check_known(what: &str, value: Option<&str>, known: &[&str]) -> Result<(), Refusal> {
    match value.filter(|value| !known.contains(value)) {
        None => Ok(()),
        Some(value) => {
            let known = known.join(", ");
            Err(refuse(RefusalCode::Invalid, format!("there is no {what} {value}; there are {known}")))
        }
    }
}

fn check_file(path: &Path) -> Result<(), String> {
    let shown = path.display();
    if !path.is_absolute() {
        return Err(format!("{shown} is not an absolute path"));
    }
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(metadata) if metadata.is_dir() => Err(format!("{shown} is a folder")),
        Ok(_) => Err(format!("{shown} is not a file")),
        Err(error) => Err(format!("cannot read {shown}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_that_claude_would_not_start_with_is_refused() {
        let check = |mode| check_known("permission mode", mode, &control::PERMISSION_MODES);
        assert!(check(None).is_ok());
        assert!(check(Some("plan")).is_ok());
        let refusal = check(Some("x")).expect_err("refused");
        assert_eq!(refusal.code, RefusalCode::Invalid);
        assert!(refusal.message.starts_with("there is no permission mode x"), "{}", refusal.message);
    }
}
