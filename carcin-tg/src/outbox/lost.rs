//! Where nothing can be written, as far as what is shown of the moment has to know.

use std::collections::BTreeSet;

use crate::place::Place;
use crate::store::{Reader, StoreError, facts, topics};

/// The places, as the store has them.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// Chats that cannot be written to.
    chats: BTreeSet<i64>,
    /// Topics that are gone.
    topics: BTreeSet<Place>,
    /// Groups that have another id now.
    moved: BTreeSet<i64>,
}

impl Lost {
    /// All of them.
    pub(super) fn read(tx: &Reader<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            chats: facts::lost_chats(tx)?.into_iter().collect(),
            topics: topics::lost(tx)?.into_iter().collect(),
            moved: topics::moved(tx)?.into_iter().collect(),
        })
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.chats.is_empty() && self.topics.is_empty() && self.moved.is_empty()
    }

    /// They are these now. Returns the chats that are no longer among them.
    pub(super) fn update(&mut self, now: Self) -> Vec<i64> {
        let back = self.chats.difference(&now.chats).copied().collect();
        *self = now;
        back
    }

    pub(super) fn add_chat(&mut self, chat: i64) {
        self.chats.insert(chat);
    }

    pub(super) fn add_topic(&mut self, topic: Place) {
        self.topics.insert(topic);
    }

    pub(super) fn add_moved(&mut self, chat: i64) {
        self.moved.insert(chat);
    }

    /// Whether nothing can be shown there.
    pub(super) fn has(&self, place: Place) -> bool {
        self.chats.contains(&place.chat) || self.moved.contains(&place.chat) || self.topics.contains(&place)
    }
}
