//! A stand-in for Telegram: a Bot API server on loopback, as strict as the real one or stricter, and a page
//! in the browser which looks and works like the chat on a phone.
//!
//! ```text
//! bot (carcin-tg) ── HTTP ──▶ bot_api ─▶ methods ─┐
//!                                                 ├─▶ hub (one LabState) ─▶ page (events), tests (wait_for)
//! person (page, tests) ─────▶ control, person ────┘
//! ```
//!
//! What it is faithful in: method names in any case; GET, forms, multipart and JSON; the wording of refusals;
//! `getUpdates` (confirming offsets, long polls, 409 for the older of two pollers, webhooks); flood control
//! with `retry_after`; ids of messages and updates; entities that Telegram finds by itself. Where the real
//! server silently mends a defect, this one refuses it: see `text.rs`. What is not there: webhook delivery,
//! inline mode, payments, business accounts, rich messages, and of what a bot may send stickers, round films, places.
//!
//! Everything is kept in memory, with bounds: [`MAX_CALLS`], [`MAX_MESSAGES`], [`MAX_HISTORY`],
//! [`MAX_TRACES`], [`MAX_UPDATES`], [`MAX_FILE_BYTES`].

mod bot_api;
mod config;
mod conn;
mod control;
mod detect;
mod error;
mod events;
mod fault;
mod figures;
mod files;
mod flood;
mod hub;
mod lab;
mod markup;
mod methods;
mod model;
mod origin;
mod params;
mod person;
mod sent;
mod state;
mod text;
mod updates;
mod view;
mod wire;

pub use config::{ActionFuture, LabConfig, Limits, PageAction, Rate};
pub use error::{ApiError, LabError};
pub use fault::{FOREVER, Fault, FaultKind, Outage};
pub use figures::Figures;
pub use files::{MAX_FILE_BYTES, StoredFile};
pub use lab::TelegramLab;
pub use model::{
    ActionTrace, Author, Button, Call, Callback, CallbackAnswer, Chat, ChatKind, ChatMessage, Content, Draft,
    DraftEnd, Entity, Keyboard, Media, MediaKind, Outcome, Preview, Revision, Topic, User,
};
pub use origin::{Origin, Quote};
pub use sent::{SentFile, Typed};
pub use state::{DRAFT_LIFE, LabState, MAX_CALLS, MAX_HISTORY, MAX_MESSAGES, MAX_TRACES};
pub use updates::{MAX_UPDATES, UpdateQueue};
