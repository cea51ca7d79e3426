//! The answer to `/recent`.

use carcin_proto::Millis;
use carcin_proto::request::RecentText;

use super::phrases::ago;
use crate::markdown::{self, Text, TextBuilder};

/// How many are shown if nobody says.
pub const USUAL: u32 = 3;
/// The most.
pub const MOST: u32 = 20;

/// How many are asked for; an error says what may be.
pub fn how_many(argument: Option<&str>) -> Result<u32, String> {
    match argument.map(str::parse) {
        None => Ok(USUAL),
        Some(Ok(number)) if (1..=MOST).contains(&number) => Ok(number),
        Some(_) => Err(format!("/recent takes a number from 1 to {MOST}")),
    }
}

/// Each text with its label, the oldest first.
pub fn render(texts: &[RecentText], now: Millis) -> Vec<Text> {
    if texts.is_empty() {
        return vec![Text::plain("Claude has said nothing in this session yet.")];
    }
    let labelled = texts.iter().enumerate().map(|(index, recent)| {
        let mut text = TextBuilder::new();
        let label = format!("💬 {} of {} · {}", index + 1, texts.len(), ago(recent.at, now));
        text.italic(&label).newline().append(&markdown::render(&recent.text));
        text.build()
    });
    labelled.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_labelled() {
        let texts = [("All **green**.", 0), ("- one\n- two", 120_000)]
            .map(|(text, at)| RecentText { at: Millis(at), text: text.into() });
        let shown: Vec<String> = render(&texts, Millis(180_000)).into_iter().map(|text| text.text).collect();
        insta::assert_snapshot!(shown.join("\n---\n"));
        assert_eq!(render(&[], Millis(0)).len(), 1);
    }

    #[test]
    fn a_number_is_taken_and_nothing_else() {
        assert_eq!(how_many(None), Ok(3));
        assert_eq!(how_many(Some("20")), Ok(20));
        for odd in ["0", "21", "-1", "many", "1 2"] {
            assert!(how_many(Some(odd)).is_err(), "{odd}");
        }
    }
}
