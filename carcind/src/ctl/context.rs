//! What every verb needs: the socket, the conversation, how to print.

use std::env;
use std::io::{self, Read};
use std::path::PathBuf;

use carcin_proto::frame::MAX_REQUEST;
use carcin_proto::request::Status;
use carcin_proto::{Client, ConversationKey, Reply, Request, paths};

use super::command::Global;
use super::error::CtlError;
use super::style::Style;

/// How `carcin-ctl` calls itself at the socket.
pub(super) const NAME: &str = "carcin-ctl";
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) struct Context {
    pub(super) socket: PathBuf,
    /// The one asked for, by flag or environment.
    pub(super) chosen: Option<ConversationKey>,
    pub(super) json: bool,
    /// Of standard output.
    pub(super) style: Style,
}

impl Context {
    pub(super) fn new(global: Global) -> Result<Self, CtlError> {
        let socket = global.socket.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(paths::socket);
        let chosen =
            global.conversation.filter(|key| !key.is_empty()).map(ConversationKey::new).transpose().map_err(
                |error| CtlError::said(error.to_string(), "`carcin-ctl status` lists the conversations"),
            )?;
        Ok(Self { socket, chosen, json: global.json, style: Style::of_stdout() })
    }

    pub(super) async fn client(&self) -> Result<Client, CtlError> {
        Ok(Client::connect(&self.socket, NAME, VERSION).await?)
    }

    /// One request on a connection of its own.
    pub(super) async fn ask(&self, request: &Request) -> Result<Reply, CtlError> {
        Ok(self.client().await?.request(request).await?)
    }

    pub(super) async fn status(&self) -> Result<Status, CtlError> {
        match self.ask(&Request::Status).await? {
            Reply::Status(status) => Ok(*status),
            other => Err(CtlError::reply(other)),
        }
    }

    /// The conversation asked for, else the one active most recently, if there is one.
    pub(super) async fn conversation_if_any(&self) -> Result<Option<ConversationKey>, CtlError> {
        match &self.chosen {
            Some(key) => Ok(Some(key.clone())),
            None => Ok(self.status().await?.conversations.into_iter().next().map(|latest| latest.key)),
        }
    }

    /// The conversation asked for, else the one active most recently.
    pub(super) async fn conversation(&self) -> Result<ConversationKey, CtlError> {
        self.conversation_if_any().await?.ok_or_else(|| {
            CtlError::said("there is no conversation yet", "`carcin-ctl send PROMPT` begins one")
        })
    }

    /// The same, and where there is none yet, one for the terminal.
    pub(super) async fn conversation_or_ours(&self) -> Result<ConversationKey, CtlError> {
        let key = self.conversation_if_any().await?;
        Ok(key.unwrap_or_else(|| ConversationKey::new("cli").expect("a short plain word is a valid key")))
    }
}

/// The words joined; a single `-` is standard input, which ends with the largest text that a request holds.
pub(super) fn words_or_stdin(words: &[String]) -> Result<String, CtlError> {
    if words != ["-"] {
        return Ok(words.join(" "));
    }
    let mut bytes = Vec::new();
    io::stdin().take(MAX_REQUEST as u64 + 1).read_to_end(&mut bytes).map_err(CtlError::Input)?;
    if bytes.len() > MAX_REQUEST {
        let message = format!("standard input is longer than {MAX_REQUEST} bytes");
        return Err(CtlError::said(message, "put it into a file and tell Claude where it is"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// In whose name we ask.
pub(super) fn by() -> String {
    let user = env::var("USER").ok().filter(|name| !name.is_empty()).or_else(|| {
        let uid = nix::unistd::getuid();
        nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name)
    });
    user.map_or_else(|| "terminal".to_owned(), |user| format!("terminal ({user})"))
}
