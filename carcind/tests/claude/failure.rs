//! What the user is told when Claude fails.

use carcin_proto::event::Exit;
use carcind::claude::failure::{of_turn, sentence};
use carcind::claude::{Output, Parsed, TurnResult, parse};
use serde_json::{Value, json};

fn result(more: &Value) -> TurnResult {
    let mut line = json!({ "type": "result", "is_error": true });
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    match parse(line.to_string().as_bytes()) {
        Parsed::Outputs { mut outputs, .. } => match outputs.remove(0) {
            Output::Result(result) => result,
            output => panic!("{output:?}"),
        },
        Parsed::Problem(problem) => panic!("{problem:?}"),
    }
}

#[test]
fn an_end_is_told_in_one_sentence() {
    let startup = result(
        &json!({ "subtype": "error_during_execution", "startup_failure_reason": "bypass_root", "errors": ["--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons"] }),
    );
    let fine = TurnResult { text: "Please run /login".to_owned(), ..TurnResult::default() };
    let cases: &[(Exit, &str, Option<&TurnResult>)] = &[
        (Exit::NotStarted("claude: No such file or directory (os error 2)".to_owned()), "", None),
        (Exit::NotStarted("Permission denied (os error 13)".to_owned()), "", None),
        (Exit::Code(127), "", None),
        (Exit::Code(1), "No conversation found with session ID: 1111\n", None),
        (Exit::Code(1), "Error: Session ID 1111 is already in use.\n", None),
        (Exit::Code(1), "Not logged in · Please run /login\n", None),
        (Exit::Code(1), "", Some(&startup)),
        (Exit::Code(1), "The current directory no longer exists (it was deleted or moved).\n", None),
        (Exit::Code(1), "warning: x\nError: \u{1b}[31mthe last words\u{1b}[0m\n\n", None),
        (Exit::Code(1), "", Some(&fine)),
        (Exit::Code(0), "", None),
        (Exit::Code(143), "", None),
        (Exit::Signal(9), "", None),
        (Exit::Signal(11), "ignored", None),
        (Exit::Signal(40), "", None),
        (Exit::Unknown, "", None),
        (
            Exit::Code(134),
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
            None,
        ),
    ];
    let told: Vec<_> = cases
        .iter()
        .map(|(exit, stderr, last)| {
            let failure = sentence(exit, stderr, *last);
            format!("{exit:?} {stderr:?}\n  {}\n  {}", failure.message, failure.hint.unwrap_or_default())
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_failed_turn_is_told_in_one_sentence() {
    let cases = [
        json!({ "subtype": "success", "result": "API Error: 400 Scripted error", "api_error_status": 400 }),
        json!({ "subtype": "success", "result": "Failed to authenticate. API Error: 401", "api_error_status": 401 }),
        json!({ "subtype": "success", "result": "Not logged in · Please run /login" }),
        json!({ "subtype": "success", "api_error_status": 529 }),
        json!({ "subtype": "error_max_turns" }),
        json!({ "subtype": "error_max_budget_usd", "errors": [] }),
        json!({ "subtype": "error_during_execution", "errors": ["[ede_diagnostic] x", "one", "two"] }),
        json!({ "subtype": "error_something_new" }),
        json!({}),
    ];
    let told: Vec<_> = cases
        .iter()
        .map(|case| {
            let failure = of_turn(&result(case)).expect("it failed");
            format!("{case}\n  {}\n  {}", failure.message, failure.hint.unwrap_or_default())
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn an_interrupted_turn_did_not_fail() {
    assert_eq!(
        of_turn(&result(&json!({ "subtype": "error_during_execution", "terminal_reason": "aborted_tools" }))),
        None
    );
    assert_eq!(
        of_turn(&result(&json!({ "is_error": false, "subtype": "success", "result": "Invalid API key" }))),
        None
    );
}
