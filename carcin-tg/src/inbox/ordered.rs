//! Commands that change a conversation, and those of Claude's: they keep their place among the prompts.

use std::path::{Path, PathBuf};

use carcin_proto::request::{New, Placement, Refusal, RefusalCode, Resume, SessionSummary, Submit};
use carcin_proto::{IdempotencyKey, Reply, Request};

use super::looks::in_folder;
use super::{Desk, Handled, control, refused};
use crate::commands::{self, Command, Other};
use crate::link::AskError;
use crate::markdown::{Text, TextBuilder};
use crate::menu;
use crate::paths;
use crate::place::Place;
use crate::store::inbox::{self, Composed, End, Row};
use crate::store::{StoreError, Transaction, bundle, facts};
use crate::update::Message;
use crate::view::picker::{TakeOver, What};

/// What becomes of a command.
enum Meant {
    /// The daemon is asked; what is to be said of that, where the reply says nothing.
    Request(Box<Request>, Option<Text>),
    /// There is no such command.
    Unknown(String),
}

/// What Claude knows of a command that is none of ours.
enum Claudes {
    /// It is called this.
    Command(String),
    /// It has not told yet what it knows.
    Untold,
    /// There is none.
    Unknown,
}

impl Desk {
    /// Works on a command in the lane of prompts.
    pub(super) async fn ordered(
        &self,
        row: &Row,
        message: &Message,
        command: Command,
    ) -> Result<Handled, StoreError> {
        let (id, place) = (row.id, message.place);
        if !self.store.read(|tx| Ok(facts::cursor(tx)?.is_some())).await? {
            return self.wait_for_cursor(id, place).await;
        }
        let (request, aside) = match self.meant(row, message, &command).await {
            Ok(Meant::Request(request, aside)) => (*request, aside),
            Ok(Meant::Unknown(name)) => {
                return self.reply(id, End::Refused, place, commands::unknown(&name)).await;
            }
            Err(AskError::Refused(refusal)) => {
                return self.reply(id, End::Refused, place, refused(&refusal)).await;
            }
            Err(AskError::Away { why, .. }) => return self.wait(id, place, why, row.submitted).await,
        };
        // What is asked for is settled before it may have its effect: from where that leads, a relative path leads elsewhere.
        let folder = match (&command, &request) {
            (Command::Cwd(_) | Command::New(_), Request::New(New { cwd: Some(cwd), .. })) => {
                Some(cwd.clone())
            }
            _ => None,
        };
        // What Claude is given, under its own name: to be moved, and to be replaced by an edit.
        let composed = match &request {
            Request::Submit(submit) => {
                Some(Composed { text: submit.text.clone(), queued: true, ..Composed::default() })
            }
            _ => None,
        };
        let submitted = move |tx: &Transaction<'_>| {
            if let Some(folder) = &folder {
                inbox::set_folder(tx, id, folder)?;
            }
            match &composed {
                Some(composed) => bundle::submit(tx, id, &[], composed),
                None => inbox::submit(tx, id),
            }
        };
        if !self.store.write(submitted).await? {
            return Ok(Handled::Done);
        }
        match self.daemon.ask(&request).await {
            Ok(reply) => {
                let said = said(&request, &reply, &command).or(aside);
                let accepted = move |tx: &Transaction<'_>| {
                    inbox::accept(tx, id)?;
                    facts::end_outage(tx)?;
                    said.map_or(Ok(()), |said| control(tx, place, &said))
                };
                self.store.write(accepted).await?;
                Ok(Handled::Done)
            }
            Err(AskError::Refused(refusal)) => match &command {
                Command::Resume(Some(session)) if refusal.code == RefusalCode::SessionOpen => {
                    self.offer(id, End::Refused, place, take_over(session, session, &refusal)).await
                }
                _ => self.reply(id, End::Refused, place, refused(&refusal)).await,
            },
            Err(AskError::Away { why, maybe_done }) => self.wait(id, place, why, maybe_done).await,
        }
    }

    async fn meant(&self, row: &Row, message: &Message, command: &Command) -> Result<Meant, AskError> {
        let conversation = message.place.conversation();
        let request = match command {
            Command::Cwd(Some(folder)) | Command::New(Some(folder)) => {
                let cwd = match &row.folder {
                    Some(settled) => settled.clone(),
                    None => self.folder(message.place, folder).await?,
                };
                Request::New(New { conversation, cwd: Some(cwd) })
            }
            Command::Resume(Some(session)) => {
                Request::Resume(Resume { conversation, session: session.clone(), force: false })
            }
            Command::Compact(how) => prompt(row, message, &line("compact", how.as_deref()))?,
            Command::Other(other) => {
                let (name, aside) = match self.claudes(message.place, other).await? {
                    Claudes::Command(name) => (name, None),
                    Claudes::Untold => (other.name.clone(), Some(commands::untold(&other.name))),
                    Claudes::Unknown => return Ok(Meant::Unknown(other.name.clone())),
                };
                let request = prompt(row, message, &line(&name, other.argument.as_deref()))?;
                return Ok(Meant::Request(Box::new(request), aside));
            }
            _ => Request::New(New { conversation, cwd: None }),
        };
        Ok(Meant::Request(Box::new(request), None))
    }

    /// The folder that is meant; one that is no absolute path is taken from where the conversation works.
    async fn folder(&self, place: Place, typed: &str) -> Result<PathBuf, AskError> {
        let path = paths::meant(typed);
        if path.is_absolute() {
            return Ok(paths::cleaned(&path));
        }
        let here = match self.daemon.ask(&in_folder(place, None)).await {
            Ok(Reply::Folders(list)) => list.path,
            Err(error @ AskError::Away { .. }) => return Err(error),
            // One that is gone has a place all the same.
            Ok(_) | Err(AskError::Refused(_)) => {
                match self.daemon.ask(&Request::About(place.conversation())).await? {
                    Reply::About(about) => about.status.cwd,
                    _ => return Ok(path),
                }
            }
        };
        Ok(paths::cleaned(&here.join(path)))
    }

    /// Whether it is a command of Claude's.
    async fn claudes(&self, place: Place, other: &Other) -> Result<Claudes, AskError> {
        let known = match self.daemon.ask(&Request::About(place.conversation())).await {
            Ok(Reply::About(about)) => about.abilities.commands,
            Err(error @ AskError::Away { .. }) => return Err(error),
            Ok(_) | Err(AskError::Refused(_)) => Vec::new(),
        };
        if known.is_empty() {
            return Ok(Claudes::Untold);
        }
        let meant = menu::meant(known.iter().map(|one| one.name.as_str()), &other.name);
        Ok(meant.map_or(Claudes::Unknown, |name| Claudes::Command(name.to_owned())))
    }
}

fn line(name: &str, argument: Option<&str>) -> String {
    argument.map_or_else(|| format!("/{name}"), |argument| format!("/{name} {argument}"))
}

/// A command of Claude's is a prompt of its own: it means nothing in the middle of a turn.
fn prompt(row: &Row, message: &Message, text: &str) -> Result<Request, AskError> {
    let key = IdempotencyKey::new(row.key.clone());
    let key =
        key.map_err(|error| AskError::Refused(Refusal::new(RefusalCode::Invalid, error.to_string())))?;
    Ok(Request::Submit(Submit {
        conversation: message.place.conversation(),
        key,
        text: text.to_owned(),
        placement: Placement::Queue,
        by: message.from.name.clone(),
    }))
}

/// What is said when it is done; nothing of prompts, which have answers of their own.
fn said(request: &Request, reply: &Reply, command: &Command) -> Option<Text> {
    match (request, reply) {
        (_, Reply::Resumed(session)) => Some(resumed(session)),
        (Request::New(New { cwd: Some(cwd), .. }), _) => Some(moved(cwd)),
        (Request::New(_), _) if *command == Command::Clear => Some(Text::plain(
            "🧹 Forgotten. The next message begins a new session in the same folder; /sessions leads back.",
        )),
        (Request::New(_), _) => Some(Text::plain("🆕 The next message begins a new session")),
        _ => None,
    }
}

/// What is said when the folder is another.
pub(super) fn moved(cwd: &Path) -> Text {
    let mut text = TextBuilder::new();
    text.push("📁 The next message begins a new session in ").code(&cwd.to_string_lossy());
    text.build()
}

/// What is said when a session goes on.
pub(super) fn resumed(session: &SessionSummary) -> Text {
    let mut text = TextBuilder::new();
    text.push("▶️ The next message goes on with ");
    if session.title.trim().is_empty() {
        text.code(session.session.as_str());
    } else {
        let title: String = session.title.chars().take(100).collect();
        text.push(&format!("“{title}”"));
    }
    if let Some(cwd) = &session.cwd {
        text.push(" in ").code(&cwd.to_string_lossy());
    }
    text.build()
}

/// The question whether to take a session from whoever has it open.
pub(super) fn take_over(session: &str, title: &str, refusal: &Refusal) -> What {
    let why = refusal.message.clone();
    What::TakeOver(TakeOver { session: session.to_owned(), title: title.to_owned(), why })
}
