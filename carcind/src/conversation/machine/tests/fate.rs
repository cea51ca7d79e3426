//! What may happen, and how often.

use carcin_proto::request::Placement;
use proptest::prelude::*;

use crate::claude::LifecycleState;

/// What may happen next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    Submit(Placement),
    /// Claude reads a line of its input.
    Read,
    /// Claude takes a prompt out of its queue, and has not begun it yet.
    Take,
    /// Claude works on: it asks, finishes a tool, ends its turn.
    Work,
    /// The daemon reads so many lines of what Claude printed.
    Deliver(u8),
    /// A person answers one of the open questions.
    Answer {
        which: u8,
        allow: bool,
    },
    /// Somebody takes one of the prompts back, settled or not.
    Withdraw(u8),
    Stop,
    NewSession,
    Resume,
    Configure,
    /// Somebody asks what only Claude knows.
    Inquire,
    /// The disk is nearly full, or no longer.
    Space(bool),
    /// A background task is done: Claude begins a turn by itself.
    Background,
    /// Claude says something again, or something that has no place.
    Babble(Babble),
    /// A line cannot be written to Claude, ever.
    Unwritable,
    /// The lines to Claude wait in the daemon's memory, or no longer.
    Stall(bool),
    /// Claude reads nothing, does nothing and says nothing, or goes on.
    Hang(bool),
    /// Claude calls the turn done, with no answer; it may end then.
    NoAnswer {
        exits: bool,
    },
    /// So many minutes pass.
    Minutes(u8),
    /// The Claude that is being started never runs.
    NotStarted,
    /// What Claude printed cannot be read any more.
    Unreadable,
    ClaudeDies,
    /// The daemon dies between two steps.
    DaemonDies,
    /// The same, and the next one gives Claude another environment.
    OtherEnvironment,
    /// The daemon dies in its next step, before or after its commit.
    DaemonDiesInStep {
        committed: bool,
    },
    /// The machine goes down: what was not synced is gone, and all but so many lines of what Claude printed.
    PowerCut {
        printed: u8,
    },
    /// The time of the armed rung is up.
    Rung,
}

/// What Claude says out of turn.
#[derive(Debug, Clone, Copy)]
pub(super) enum Babble {
    /// Once more that it has a prompt in its queue, or has begun it.
    Again(LifecycleState),
    /// Where a prompt stands that nobody knows.
    Unknown,
    /// The end of a turn that never began.
    Result,
    /// The end of a turn with a prompt that nobody knows.
    OthersResult,
    /// A question, while it does nothing.
    Ask,
}

fn babble() -> impl Strategy<Value = Babble> {
    prop_oneof![
        Just(Babble::Again(LifecycleState::Queued)),
        Just(Babble::Again(LifecycleState::Started)),
        Just(Babble::Unknown),
        Just(Babble::Result),
        Just(Babble::OthersResult),
        Just(Babble::Ask),
    ]
}

pub(super) fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Submit(Placement::Steer)),
        2 => Just(Fate::Submit(Placement::Queue)),
        12 => Just(Fate::Read),
        12 => Just(Fate::Work),
        2 => Just(Fate::Take),
        16 => (1..6u8).prop_map(Fate::Deliver),
        5 => (0..3u8, any::<bool>()).prop_map(|(which, allow)| Fate::Answer { which, allow }),
        3 => (0..4u8).prop_map(Fate::Withdraw),
        1 => Just(Fate::Stop),
        1 => Just(Fate::NewSession),
        1 => Just(Fate::Resume),
        1 => Just(Fate::Configure),
        1 => Just(Fate::Inquire),
        1 => any::<bool>().prop_map(Fate::Space),
        1 => Just(Fate::Background),
        2 => babble().prop_map(Fate::Babble),
        1 => Just(Fate::Unwritable),
        2 => any::<bool>().prop_map(Fate::Stall),
        1 => any::<bool>().prop_map(Fate::Hang),
        1 => any::<bool>().prop_map(|exits| Fate::NoAnswer { exits }),
        2 => (1..40u8).prop_map(Fate::Minutes),
        1 => Just(Fate::NotStarted),
        1 => Just(Fate::Unreadable),
        1 => Just(Fate::ClaudeDies),
        1 => Just(Fate::DaemonDies),
        1 => Just(Fate::OtherEnvironment),
        1 => any::<bool>().prop_map(|committed| Fate::DaemonDiesInStep { committed }),
        1 => (0..60u8).prop_map(|printed| Fate::PowerCut { printed }),
        1 => Just(Fate::Rung),
    ]
}
