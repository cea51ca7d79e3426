//! Where in Telegram a conversation takes place, and the key under which the daemon knows it.

use carcin_proto::ConversationKey;

/// A chat, or a topic in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Telegram's id of the chat: a user's own id in a private chat, negative for a group.
    pub chat: i64,
    /// The topic in the chat, where there is one.
    pub thread: Option<i64>,
}

impl Place {
    /// The private chat with a user.
    pub fn private(user: i64) -> Self {
        Self { chat: user, thread: None }
    }

    /// The conversation that takes place here.
    pub fn conversation(self) -> ConversationKey {
        let key = match self.thread {
            None => format!("tg:{}", self.chat),
            Some(thread) => format!("tg:{}:{thread}", self.chat),
        };
        ConversationKey::new(key).expect("two numbers make a short printable key")
    }

    /// Where a conversation takes place; `None`: not in Telegram.
    pub fn of(conversation: &ConversationKey) -> Option<Self> {
        let mut parts = conversation.as_str().strip_prefix("tg:")?.split(':');
        let chat = parts.next()?.parse().ok()?;
        let thread = parts.next().map(str::parse).transpose().ok()?;
        let place = Self { chat, thread };
        // Only the canonical spelling, or two keys would share a place.
        (place.conversation() == *conversation).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again_by_its_key() {
        for place in [Place::private(42), Place { chat: -100_123, thread: Some(7) }] {
            assert_eq!(Place::of(&place.conversation()), Some(place));
        }
    }

    #[test]
    fn keys_of_other_clients_are_no_places() {
        for key in ["cli", "tg:", "tg:x", "tg:1:", "tg:1:2:3", "tg:+1", "tg:01"] {
            assert_eq!(Place::of(&key.parse().expect("a key")), None, "{key}");
        }
    }
}
