//! One value of each kind, and of each variant within, for the golden bytes. Append; never change one.

mod events;
mod requests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use uuid::Uuid;

use crate::event::*;
use crate::ids::*;
use crate::inquiry::*;
use crate::request::*;
use crate::snapshot::*;

pub(super) use events::{envelope, events, transient_envelope, transients};
pub(super) use requests::{gaps, replies, requests, snapshot};

fn key() -> ConversationKey {
    ConversationKey::new("tg:7").expect("valid")
}

fn session() -> SessionId {
    SessionId::new("5e55").expect("valid")
}

fn request() -> RequestId {
    RequestId::new("req-1").expect("valid")
}

fn tool_use() -> ToolUseId {
    ToolUseId::new("toolu_1").expect("valid")
}

fn prompt() -> PromptId {
    PromptId(Uuid::from_bytes([0x11; 16]))
}

fn journal() -> JournalId {
    JournalId(Uuid::from_bytes([0x22; 16]))
}

fn cwd() -> PathBuf {
    "/src".into()
}

pub(super) fn hello() -> Hello {
    Hello { client: "carcin-ctl".into(), version: "0.1.0".into() }
}

pub(super) fn welcome() -> Welcome {
    Welcome { version: "0.1.0".into(), pid: 4242, journal: journal(), head: Seq(300) }
}

pub(super) fn farewell() -> Refusal {
    Refusal::new(RefusalCode::NotAllowed, "uid 1001 may not").hint("use your own")
}
