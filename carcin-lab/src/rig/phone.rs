//! The owner's phone: what the owner writes and presses in Telegram, and what is to be seen there.

use super::{PATIENCE, Rig};
use crate::telegram::ChatMessage;

impl Rig {
    /// Writes to the bot; gives the message's id.
    pub fn write(&self, text: &str) -> anyhow::Result<i64> {
        Ok(self.telegram.send_text(self.owner, self.owner, text)?)
    }

    /// Waits for a message of the bot's that can be seen and has `text` in it.
    pub async fn sees(&self, text: &str) -> anyhow::Result<ChatMessage> {
        self.telegram.wait_for_text(self.owner, text, PATIENCE).await
    }

    /// Waits until no message of the bot's that can be seen has `text` in it.
    pub async fn no_longer_sees(&self, text: &str) -> anyhow::Result<()> {
        let what = format!("{text:?} to vanish");
        let owner = self.owner;
        let gone = |state: &crate::telegram::LabState| {
            let mut shown = state.visible(owner).filter(|message| message.from_bot());
            (!shown.any(|message| message.text().contains(text))).then_some(())
        };
        self.telegram.wait_for(&what, PATIENCE, gone).await
    }

    /// Presses the button that says `label`.
    pub fn press(&self, message: &ChatMessage, label: &str) -> anyhow::Result<String> {
        Ok(self.telegram.press(self.owner, self.owner, message.id, label)?)
    }

    /// The bot's messages that can be seen, oldest first.
    pub fn shown(&self) -> Vec<String> {
        let messages = self.telegram.messages(self.owner);
        let shown = messages.iter().filter(|message| message.from_bot() && message.visible());
        shown.map(|message| message.text().to_owned()).collect()
    }

    /// How many of the bot's messages that can be seen have `text` in them.
    pub fn count(&self, text: &str) -> usize {
        self.shown().iter().filter(|shown| shown.contains(text)).count()
    }
}
