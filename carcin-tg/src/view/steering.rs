//! The note under a message that came while Claude worked.

use super::phrases::one_line;
use crate::markdown::{Text, TextBuilder};
use crate::message::{Button, Message};
use crate::queue::Spot;

/// What the buttons of such a note begin with.
pub const STEER: &str = "q";
/// The argument of the button that queues.
pub const QUEUE: usize = 0;
/// The argument of the button that stops.
pub const NOW: usize = 1;
/// How much of the message is shown, in characters.
const EXCERPT: usize = 60;

/// The note while the prompt waits; `asks`: Claude waits for an answer.
pub fn waiting(place: Spot, text: &str, nonce: &str, asks: bool) -> Message {
    let button = |label: &str, what: usize| Button {
        label: label.to_owned(),
        data: format!("{STEER}:{nonce}:{what}"),
    };
    let queue = button("🕓 Queue instead", QUEUE);
    let now = button("⏹ Stop and do this", NOW);
    let (words, buttons) = match place {
        Spot::Steer if asks => ("↪️ Claude reads it when it has your answer: ", vec![vec![queue, now]]),
        Spot::Steer => ("↪️ Claude reads it at the next step: ", vec![vec![queue, now]]),
        Spot::Queue => ("🕓 Queued for when Claude is done: ", vec![vec![now]]),
        Spot::Now => ("⏹ Stopped for this: ", Vec::new()),
    };
    Message::silent(line(words, text)).with_buttons(buttons)
}

/// The note once Claude has begun.
pub fn begun(text: &str) -> Message {
    Message::silent(line("↪️ Claude has it: ", text))
}

/// The note of a prompt that Claude never begins.
pub fn dropped(text: &str) -> Message {
    Message::silent(line("🚫 Taken back: ", text))
}

/// The note of a prompt whose message was edited.
pub fn edited(text: &str) -> Message {
    Message::silent(line("✏️ Replaced by your edit: ", text))
}

/// The note of a prompt that the daemon did not take again.
pub fn refused(text: &str, why: &str) -> Message {
    let mut note = TextBuilder::new();
    note.append(&line("❌ Not done: ", text)).newline().push(why).newline().bold("Please send it again.");
    Message::loud(note.build())
}

fn line(words: &str, text: &str) -> Text {
    let mut line = TextBuilder::new();
    line.push(words).italic(&one_line(text, EXCERPT));
    line.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_says_where_the_message_waits_and_offers_the_other_places() {
        let notes = [
            waiting(Spot::Steer, "and the docs,\nplease", "n0nce", false),
            waiting(Spot::Steer, "and the docs", "n0nce", true),
            waiting(Spot::Queue, "and the docs", "n0nce", false),
            waiting(Spot::Now, "and the docs", "n0nce", false),
            begun("and the docs"),
            dropped("and the docs"),
            edited("and the docs"),
            refused("and the docs", "64 prompts wait already"),
        ];
        let shown = notes.map(|note| {
            let buttons: Vec<String> =
                note.buttons.iter().flatten().map(|b| format!("[{} {}]", b.label, b.data)).collect();
            format!("{} {}", note.text.text, buttons.join(" "))
        });
        insta::assert_snapshot!(shown.join("\n"));
    }
}
