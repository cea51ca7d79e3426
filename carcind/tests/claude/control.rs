//! What is written to Claude.

use carcin_proto::event::{Ask, ElicitationAsk, PermissionAsk, PlanAsk, Question, QuestionOption};
use carcin_proto::request::Decision;
use carcin_proto::{PromptId, RequestId};
use carcind::claude::control::{self, AnswerError, answer};
use proptest::prelude::*;
use serde_json::{Value, json};

fn request() -> RequestId {
    RequestId::new("r1").unwrap()
}

fn permission(suggestions: &str) -> Ask {
    Ask::Permission(PermissionAsk {
        tool: "Bash".to_owned(),
        tool_use: None,
        summary: String::new(),
        input: "{}".to_owned(),
        description: String::new(),
        reason: String::new(),
        blocked_path: None,
        suggestions: suggestions.to_owned(),
    })
}

fn question(text: &str) -> Question {
    let options = vec![QuestionOption { label: "Red".to_owned(), description: "warm".to_owned() }];
    Question { question: text.to_owned(), header: "Colour".to_owned(), options, multi_select: false }
}

fn elicitation(url: Option<&str>, schema: &str) -> Ask {
    let (server, message) = ("s".to_owned(), "m".to_owned());
    Ask::Elicitation(ElicitationAsk {
        server,
        message,
        url: url.map(str::to_owned),
        schema: schema.to_owned(),
    })
}

fn plan() -> Ask {
    Ask::Plan(PlanAsk { plan: String::new(), path: None })
}

/// The inner response of an answer, whose envelope is checked.
fn given(ask: &Ask, tool_input: &str, decision: &Decision) -> Result<Value, AnswerError> {
    let line = answer(&request(), ask, tool_input, decision)?;
    let mut value = single_line(&line);
    assert_eq!(value["type"], "control_response");
    assert_eq!(value["response"]["subtype"], "success");
    assert_eq!(value["response"]["request_id"], "r1");
    Ok(value["response"]["response"].take())
}

/// The value of a line, which is one line for every reader.
fn single_line(line: &str) -> Value {
    assert!(!line.contains(['\n', '\r', '\u{2028}', '\u{2029}']), "{line:?}");
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn answers(pairs: &[(&str, &str)]) -> Decision {
    Decision::Answers(
        pairs.iter().map(|(question, answer)| ((*question).to_owned(), (*answer).to_owned())).collect(),
    )
}

#[test]
fn a_permission_is_allowed_without_repeating_its_input() {
    assert_eq!(given(&permission(""), "", &Decision::Allow), Ok(json!({ "behavior": "allow" })));
}

#[test]
fn always_sends_back_the_suggestions_that_were_chosen() {
    let suggestions = "[{\"type\":\"addRules\",\n \"rules\":[{\"toolName\":\"Bash\",\"ruleContent\":\"a\\n\u{2028}\"}]},\
         {\"type\":\"addDirectories\",\"directories\":[\"/x\"]},{\"type\":\"setMode\",\"mode\":\"acceptEdits\"}]";
    let granted =
        |chosen: &[u16]| given(&permission(suggestions), "", &Decision::AllowAlways(chosen.to_vec()));
    let types = |chosen: &[u16]| {
        let answer = granted(chosen).unwrap();
        let updates = answer["updatedPermissions"].as_array().unwrap();
        updates.iter().map(|update| update["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(types(&[1]), ["addDirectories"]);
    assert_eq!(types(&[2, 0, 2]), ["addRules", "setMode"]);
    for chosen in [&[][..], &[3], &[0, 3]] {
        assert_eq!(granted(chosen), Err(AnswerError::NotOffered), "{chosen:?}");
    }
    assert_eq!(
        granted(&[0]),
        Ok(
            json!({ "behavior": "allow", "updatedPermissions": [{ "type": "addRules", "rules": [{ "toolName": "Bash", "ruleContent": "a\n\u{2028}" }] }] })
        )
    );
    for none in ["", "[]", "[", "null"] {
        assert_eq!(
            given(&permission(none), "", &Decision::AllowAlways(vec![0])),
            Err(AnswerError::NotOffered),
            "{none}"
        );
    }
}

#[test]
fn a_denial_tells_why_and_lets_the_turn_go_on() {
    for ask in [permission(""), plan(), Ask::Questions(vec![question("Q?")])] {
        assert_eq!(
            given(&ask, "", &Decision::Deny("not\nnow".to_owned())),
            Ok(json!({ "behavior": "deny", "message": "not\nnow", "interrupt": false }))
        );
    }
    assert_eq!(given(&plan(), "", &Decision::Deny(" ".to_owned())).unwrap()["message"], "The user said no.");
    assert_eq!(
        given(&elicitation(None, ""), "", &Decision::Deny("no".to_owned())),
        Ok(json!({ "action": "decline" }))
    );
}

#[test]
fn a_plan_is_followed_in_the_mode_that_was_chosen() {
    let allowed = |mode: &str| json!({ "behavior": "allow", "updatedPermissions": [{ "type": "setMode", "mode": mode, "destination": "session" }] });
    assert_eq!(given(&plan(), "", &Decision::Allow), Ok(allowed("default")));
    assert_eq!(given(&plan(), "", &Decision::AllowAlways(Vec::new())), Ok(allowed("acceptEdits")));
}

#[test]
fn answers_go_back_with_the_questions_as_they_were() {
    let asked = Ask::Questions(vec![question("Which?"), question("When?")]);
    let input =
        r#"{"questions":[{"question":"Which?","preview":1e400}],"metadata":{"a":1},"answers":{"old":"x"}}"#;
    let decision = answers(&[("When?", "now, later"), ("Which?", "Red")]);
    let line = answer(&request(), &asked, input, &decision).unwrap();
    assert!(
        line.contains(
            r#""questions":[{"question":"Which?","preview":1e400}],"metadata":{"a":1},"answers":{"#
        ),
        "{line}"
    );
    assert!(line.contains(r#""answers":{"Which?":"Red","When?":"now, later"}}"#), "{line}");
}

#[test]
fn answers_go_back_also_without_the_input() {
    let asked = Ask::Questions(vec![question("Which?")]);
    let given = given(&asked, "", &answers(&[("Which?", "Red")])).unwrap();
    let option = json!({ "label": "Red", "description": "warm" });
    let questions =
        json!([{ "question": "Which?", "header": "Colour", "options": [option], "multiSelect": false }]);
    assert_eq!(given["updatedInput"], json!({ "questions": questions, "answers": { "Which?": "Red" } }));
}

#[test]
fn every_question_is_answered_and_nothing_else() {
    let asked = Ask::Questions(vec![question("Which?"), question("When?")]);
    let unanswered = |text: &str| Err(AnswerError::Unanswered(text.to_owned()));
    assert_eq!(given(&asked, "", &answers(&[("Which?", "Red")])), unanswered("When?"));
    assert_eq!(given(&asked, "", &answers(&[("Which?", " "), ("When?", "now")])), unanswered("Which?"));
    assert_eq!(given(&asked, "", &answers(&[("Who?", "me")])), Err(AnswerError::NotAsked("Who?".to_owned())));
}

#[test]
fn a_form_takes_an_object() {
    let schema = r#"{"properties":{"name":{"type":"string"}}}"#;
    let content = Decision::Content("{\n\"name\": \"x\"}".to_owned());
    assert_eq!(
        given(&elicitation(None, schema), "", &content),
        Ok(json!({ "action": "accept", "content": { "name": "x" } }))
    );
    let cancelled = Ok(json!({ "action": "cancel" }));
    assert_eq!(given(&elicitation(None, schema), "", &Decision::Cancel), cancelled);
    assert!(matches!(given(&plan(), "", &Decision::Cancel), Err(AnswerError::DoesNotFit { .. })));
    let list = Decision::Content("[]".to_owned());
    assert_eq!(given(&elicitation(None, schema), "", &list), Err(AnswerError::NotAnObject));
    assert!(matches!(
        given(&elicitation(None, schema), "", &Decision::Allow),
        Err(AnswerError::DoesNotFit { .. })
    ));
    // With nothing to fill in, a yes is enough.
    let accepted = Ok(json!({ "action": "accept", "content": {} }));
    assert_eq!(given(&elicitation(None, r#"{"properties":{}}"#), "", &Decision::Allow), accepted);
    assert_eq!(given(&elicitation(Some("https://x"), ""), "", &Decision::Allow), accepted);
}

#[test]
fn a_question_is_never_allowed_without_an_answer() {
    let asked = Ask::Questions(vec![question("Which?")]);
    for decision in [Decision::Allow, Decision::AllowAlways(Vec::new()), Decision::Content("{}".to_owned())] {
        assert!(
            matches!(given(&asked, "{}", &decision), Err(AnswerError::DoesNotFit { .. })),
            "{decision:?}"
        );
    }
    for ask in [permission("[{}]"), plan()] {
        for decision in [answers(&[]), Decision::Content("{}".to_owned())] {
            assert!(
                matches!(given(&ask, "", &decision), Err(AnswerError::DoesNotFit { .. })),
                "{decision:?}"
            );
        }
    }
}

#[test]
fn requests_have_the_shape_of_the_sdk() {
    let id = PromptId::random();
    let body = |line: String| {
        let mut value = single_line(&line);
        assert_eq!((&value["type"], &value["request_id"]), (&json!("control_request"), &json!("r")));
        value["request"].take()
    };
    assert_eq!(
        body(control::initialize("r")),
        json!({ "subtype": "initialize", "perTaskStopAffordance": true })
    );
    assert_eq!(body(control::interrupt("r", true)), json!({ "subtype": "interrupt", "cancel_queued": true }));
    assert_eq!(
        body(control::set_permission_mode("r", "plan")),
        json!({ "subtype": "set_permission_mode", "mode": "plan" })
    );
    assert_eq!(body(control::set_model("r", "opus")), json!({ "subtype": "set_model", "model": "opus" }));
    assert_eq!(
        body(control::set_effort("r", "high")),
        json!({ "subtype": "apply_flag_settings", "settings": { "effortLevel": "high" } })
    );
    assert_eq!(
        body(control::cancel_async_message("r", id)),
        json!({ "subtype": "cancel_async_message", "message_uuid": id.to_string() })
    );
    assert_eq!(
        body(control::end_session("r", "idle")),
        json!({ "subtype": "end_session", "reason": "idle" })
    );
    assert_eq!(body(control::get_context_usage("r")), json!({ "subtype": "get_context_usage" }));
    assert_eq!(body(control::get_usage("r")), json!({ "subtype": "get_usage", "skip_behaviors": true }));
    assert_eq!(body(control::stop_task("r", "b1")), json!({ "subtype": "stop_task", "task_id": "b1" }));
    assert_eq!(
        single_line(&control::refuse(&request(), "no")),
        json!({ "type": "control_response", "response": { "subtype": "error", "request_id": "r1", "error": "no" } })
    );
}

#[test]
fn an_answer_that_is_too_long_loses_its_lists_and_not_what_it_says() {
    let many: Vec<Value> = (0..1000).map(|number| json!({ "name": format!("tool {number}") })).collect();
    let answer = json!({ "totalTokens": 7, "gridRows": [[1]], "skills": [], "mcpTools": many }).to_string();
    let read = |max| control::within(&answer, max).map(|text| serde_json::from_str::<Value>(&text).unwrap());
    let long = read(answer.len()).unwrap();
    assert_eq!((&long["gridRows"], &long["skills"]), (&Value::Null, &json!([])));
    assert_eq!(long["mcpTools"].as_array().map(Vec::len), Some(1000));
    assert_eq!(read(1000).unwrap(), json!({ "totalTokens": 7 }));
    assert_eq!(control::within(&answer, 10), None);
    assert_eq!(control::within("[1]", 100), None);
}

/// Text as it may come from a phone, with what could end a line.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            any::<char>(),
            prop::sample::select(vec!['\n', '\r', '\u{2028}', '\u{2029}', '"', '\\', '\0'])
        ],
        0..60,
    )
    .prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_prompt_is_one_line_and_arrives_as_it_was(text in text()) {
        let id = PromptId::random();
        let value = single_line(&control::prompt(id, &text));
        prop_assert_eq!(&value["message"]["content"], &json!(text));
        prop_assert_eq!(&value["message"]["role"], "user");
        prop_assert_eq!(&value["uuid"], &json!(id.to_string()));
    }

    #[test]
    fn any_text_in_a_request_is_one_line(text in text()) {
        for line in [
            control::initialize(&text),
            control::set_model(&text, &text),
            control::set_permission_mode("r", &text),
            control::set_effort("r", &text),
            control::end_session("r", &text),
            control::refuse(&request(), &text),
            answer(&request(), &plan(), "", &Decision::Deny(text.clone())).unwrap(),
        ] {
            single_line(&line);
        }
    }

    #[test]
    fn any_answer_is_one_line_and_arrives_as_it_was(texts in prop::collection::vec((text(), text()), 1..4)) {
        let texts: Vec<_> = texts.into_iter().map(|(asked, answer)| (asked, answer + "x")).collect();
        let asked: Vec<_> = texts.iter().map(|(text, _)| question(text)).collect();
        for input in [String::new(), serde_json::to_string_pretty(&json!({ "questions": texts })).unwrap()] {
            let decision = Decision::Answers(texts.clone());
            let given = given(&Ask::Questions(asked.clone()), &input, &decision).unwrap();
            for (question, _) in &texts {
                let (_, last) = texts.iter().rev().find(|(text, _)| text == question).unwrap();
                prop_assert_eq!(&given["updatedInput"]["answers"][question], &json!(last));
            }
        }
    }
}
