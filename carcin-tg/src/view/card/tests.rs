//! What the ends look like, and what a clock may do.

use carcin_proto::{PromptId, TurnId};

use super::*;

#[test]
fn each_end_says_how_it_ended() {
    let card = Card::begin(3, Millis(1_000_000), Some(PromptId::random()));
    let mut shown =
        vec![card.begun().text, Card::moved().text, card.working(Millis(1_000_000)).text, card.away().text];
    for outcome in [
        TurnOutcome::Completed,
        TurnOutcome::Stopped("Ann".into()),
        TurnOutcome::Stopped(String::new()),
        TurnOutcome::Failed("The API refused the key (401).".into()),
        TurnOutcome::Interrupted("Claude was killed by signal 9".into()),
    ] {
        let usage = Usage { input_tokens: 950, output_tokens: 12, ..Usage::default() };
        let ended = TurnEnded { turn: TurnId(3), outcome, duration: Millis(75_000), usage };
        shown.push(card.ended(&ended, Some(1_999_999), 0, &Style::default()).text);
    }
    let usage = Usage { input_tokens: 9, context_tokens: 900, context_window: 1_000_000, ..Usage::default() };
    let outcome = TurnOutcome::Completed;
    let ended = TurnEnded { turn: TurnId(3), outcome, duration: Millis(75_000), usage };
    shown.extend([1, 2].map(|go_on| card.ended(&ended, None, go_on, &Style::default()).text));
    shown.push(card.lost().text);
    insta::assert_snapshot!(shown.join("\n---\n"));
}

#[test]
fn a_clock_that_goes_back_does_no_harm() {
    assert!(Card::begin(1, Millis(5_000), None).working(Millis(0)).text.contains("0 s"));
}

#[test]
fn tokens_read_well() {
    let told = [0, 999, 1_000, 45_678, 999_999, 1_000_000, 1_250_000].map(tokens);
    assert_eq!(told, ["0", "999", "1k", "45k", "999k", "1M", "1.2M"]);
}
