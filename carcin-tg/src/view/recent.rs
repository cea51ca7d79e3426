//! The answer to `/recent`.

use carcin_proto::Millis;
use carcin_proto::request::RecentText;

use super::markers;
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
        text.italic(&label);
        // What was sent with it came when it was said.
        let said = markers::strip(&recent.text);
        if !said.text.trim().is_empty() {
            text.newline().append(&markdown::render(&said.text));
        }
        for file in &said.files {
            let name = file.file_name().unwrap_or(file.as_os_str());
            text.newline().push("📎 ").code(&name.to_string_lossy());
        }
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
    fn a_file_that_was_sent_is_named_in_place_of_its_marker() {
        let said = ["Look:\n[[telegram:send:/tmp/a/chart.png]]", "[[telegram:send:/tmp/b.pdf]]"];
        let texts = said.map(|text| RecentText { at: Millis(0), text: text.into() });
        let shown: Vec<String> = render(&texts, Millis(0)).into_iter().map(|text| text.text).collect();
        assert_eq!(shown[0].lines().skip(1).collect::<Vec<_>>(), ["Look:", "📎 chart.png"]);
        assert_eq!(shown[1].lines().skip(1).collect::<Vec<_>>(), ["📎 b.pdf"]);
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
