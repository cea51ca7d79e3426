//! The machine against a small world: a Claude that obeys the protocol, a spool, a journal, and fate.
//!
//! Fate decides who moves next, who dies, and at which point of a step. Whatever it decides, the promises hold.

mod answers;
mod calls;
mod cases;
mod claude;
mod deltas;
mod disk;
mod fate;
mod order;
mod promises;
mod recorded;
mod silence;
mod withdrawals;
mod world;

use carcin_proto::event::{Ask, Exit, PermissionAsk};
use carcin_proto::request::Placement;
use carcin_proto::{
    ConversationKey, ConversationState, Envelope, Event, IdempotencyKey, Millis, PromptId, RequestId, Seq,
    Snapshot,
};
use proptest::prelude::*;

use self::fate::{Babble, Fate, fate};
use self::world::World;
use super::{Effect, Machine, Past, Rung, Step};
use crate::claude::{Asked, ControlResponse, Init, LifecycleState, Output, Parsed, SessionState, TurnResult};
use crate::rows::{
    ConversationRow, InputRow, Item, Loaded, PromptRow, PromptState, RequestRow, RequestState, Row,
};

fn key() -> ConversationKey {
    ConversationKey::new("test").expect("a valid key")
}

pub(super) fn asked(request: RequestId) -> Asked {
    Asked {
        request,
        ask: Ask::Permission(PermissionAsk {
            tool: "Bash".to_owned(),
            tool_use: None,
            summary: String::new(),
            input: "{}".to_owned(),
            description: String::new(),
            reason: String::new(),
            blocked_path: None,
            suggestions: String::new(),
        }),
        tool_input: String::new(),
    }
}

proptest! {
    #[test]
    fn whatever_happens_a_prompt_starts_at_most_once_and_is_settled(fates in prop::collection::vec(fate(), 0..150)) {
        let mut world = World::new();
        for fate in fates {
            world.live(fate);
            world.check();
        }
        world.settle();
        world.check_settled();
    }
}
