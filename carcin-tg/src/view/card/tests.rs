//! What the ends look like, and what a clock may do.

use super::*;

#[test]
fn each_end_says_how_it_ended() {
    let card = Card::begin(3, Millis(1_000_000), false);
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
        shown.push(card.ended(&outcome, Millis(75_000), &usage, Some(1_999_999), "Done").text);
    }
    shown.push(card.lost().text);
    insta::assert_snapshot!(shown.join("\n---\n"));
}

#[test]
fn a_clock_that_goes_back_does_no_harm() {
    assert!(Card::begin(1, Millis(5_000), false).working(Millis(0)).text.contains("0 s"));
}
