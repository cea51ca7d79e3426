//! Following what happens.

use serde::{Deserialize, Serialize};

use crate::ids::Cursor;
use crate::snapshot::Snapshot;

/// See [`Request::Subscribe`](super::Request::Subscribe).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// Where to begin.
    pub from: From,
    /// Whether to send transient events too.
    pub transients: bool,
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum From {
    /// With a snapshot, then what happens from now on.
    Now,
    /// With what happened after the cursor. One that cannot be served gets a [`Gap`].
    After(Cursor),
}

/// Why a cursor cannot be served, and the state to go on from: the payload of [`Kind::GAP`](crate::Kind::GAP).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Why.
    pub reason: GapReason,
    /// The state now.
    pub snapshot: Snapshot,
}

/// Why a cursor cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// It belongs to another journal: that one was lost or deleted.
    OtherJournal,
    /// It is beyond the last event: the journal lost its tail, as by a power cut.
    BeyondHead,
    /// It is before the oldest event still kept.
    BehindRetention,
}
