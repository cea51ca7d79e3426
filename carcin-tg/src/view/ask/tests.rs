//! What each kind of request looks like on the phone, and what its buttons and words mean.

use carcin_proto::event::{ElicitationAsk, PermissionAsk, PlanAsk, Question, QuestionOption};
use serde_json::json;

use super::*;
use crate::message::MAX_BUTTON_DATA;

const NONCE: &str = "0123456789abcdef0123456789abcdef";

fn ann() -> Writer {
    Writer { id: 42, name: "Ann".to_owned() }
}

/// A message with its buttons, as the phone shows it.
fn show(message: &Message) -> String {
    let rows = message.buttons.iter().map(|row| {
        let row =
            row.iter().map(|button| format!("[{} | {}]", button.label, button.data.replace(NONCE, "N")));
        row.collect::<Vec<_>>().join(" ")
    });
    [message.text.text.clone()].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

fn here() -> Viewpoint {
    Viewpoint { folder: "/srv/app".into(), home: "/home/ann".into() }
}

fn asks(ask: &Ask, draft: &Draft) -> Message {
    question(ask, draft, NONCE, "req-1", &here())
}

fn shown(ask: &Ask, draft: &Draft) -> String {
    show(&asks(ask, draft))
}

/// Presses a button by the beginning of its label, as long as it is shown.
fn pressed(ask: &Ask, draft: &Draft, label: &str) -> Step {
    let message = asks(ask, draft);
    let button = message.buttons.iter().flatten().find(|button| button.label.starts_with(label));
    let button = button.unwrap_or_else(|| panic!("no button {label:?} in\n{}", show(&message)));
    let argument = button.data.strip_prefix(&format!("{ANSWER}:{NONCE}:")).expect("an answer's button");
    press(ask, draft, &ann(), argument).expect("the button is known")
}

fn go(step: Step) -> Draft {
    match step {
        Step::Go(draft) => draft,
        other => panic!("the message does not go on: {other:?}"),
    }
}

fn permission(tool: &str, input: &Value) -> PermissionAsk {
    PermissionAsk {
        tool: tool.into(),
        tool_use: None,
        summary: String::new(),
        input: input.to_string(),
        description: String::new(),
        reason: String::new(),
        blocked_path: None,
        suggestions: String::new(),
    }
}

const RULE: &str = r#"[{"type":"addRules","rules":[{"toolName":"Bash","ruleContent":"rm:*"}],"behavior":"allow","destination":"localSettings"}]"#;
const MODE: &str = r#"[{"type":"setMode","mode":"acceptEdits","destination":"session"}]"#;

fn bash() -> Ask {
    Ask::Permission(PermissionAsk {
        summary: "rm -rf build".into(),
        description: "Clean the build folder".into(),
        reason: "rm may delete what is not yours".into(),
        blocked_path: Some("/srv/build".into()),
        suggestions: RULE.into(),
        ..permission("Bash", &json!({"command": "rm -rf build\nls", "description": "Clean the build folder"}))
    })
}

/// What Claude suggests for `mkdir`: a rule, a directory and a mode.
fn mkdir() -> Ask {
    let suggestions = json!([
        {"type": "addRules", "rules": [{"toolName": "Bash", "ruleContent": "mkdir *"}], "behavior": "allow", "destination": "localSettings"},
        {"type": "addDirectories", "directories": ["/srv/app/x"], "destination": "session"},
        {"type": "setMode", "mode": "acceptEdits", "destination": "session"},
    ]);
    Ask::Permission(PermissionAsk {
        summary: "mkdir -p x".into(),
        suggestions: suggestions.to_string(),
        ..permission("Bash", &json!({"command": "mkdir -p x"}))
    })
}

fn questions() -> Ask {
    let option = |label: &str, description: &str| QuestionOption {
        label: label.into(),
        description: description.into(),
    };
    Ask::Questions(vec![
        Question {
            question: "Which database?".into(),
            header: "DB".into(),
            options: vec![option("SQLite", "no server"), option("PostgreSQL", "")],
            multi_select: false,
        },
        Question {
            question: "Which extras?".into(),
            header: "Extras".into(),
            options: vec![option("Backups", "each night"), option("Metrics", ""), option("Tracing", "")],
            multi_select: true,
        },
    ])
}

fn plan_of(plan: &str) -> Ask {
    Ask::Plan(PlanAsk { plan: plan.into(), path: Some("/home/ann/plan.md".into()) })
}

fn form() -> Ask {
    let schema = json!({"type": "object", "required": ["title", "severity"], "properties": {
        "title": {"type": "string", "title": "Title", "description": "One line", "minLength": 3, "maxLength": 40},
        "severity": {"type": "string", "enum": ["lo", "hi"], "enumNames": ["Low", "High"]},
        "votes": {"type": "integer", "minimum": 0, "maximum": 9, "default": 1},
        "urgent": {"type": "boolean"},
        "labels": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": ["ui", "db"]}},
    }});
    Ask::Elicitation(ElicitationAsk {
        server: "jira".into(),
        message: "A new issue".into(),
        url: None,
        schema: schema.to_string(),
    })
}

fn link(url: &str) -> Ask {
    Ask::Elicitation(ElicitationAsk {
        server: "bank".into(),
        message: "Sign in".into(),
        url: Some(url.into()),
        schema: String::new(),
    })
}

#[test]
fn each_tool_says_what_it_is_about_to_do() {
    let tools = [
        bash(),
        Ask::Permission(PermissionAsk {
            summary: "/srv/a.sh".into(),
            description: "a.sh".into(),
            suggestions: MODE.into(),
            ..permission(
                "Edit",
                &json!({"file_path": "/srv/a.sh", "old_string": "echo $1\nexit", "new_string": "echo $*\nexit"}),
            )
        }),
        Ask::Permission(permission(
            "MultiEdit",
            &json!({"file_path": "/srv/a.sh", "edits": [
                {"old_string": "a", "new_string": "b"}, {"old_string": "c", "new_string": "d", "replace_all": true}]}),
        )),
        Ask::Permission(PermissionAsk {
            summary: "/srv/app/src/b.rs".into(),
            suggestions: MODE.into(),
            ..permission("Write", &json!({"file_path": "/srv/app/src/b.rs", "content": "fn b() {}\n"}))
        }),
        Ask::Permission(PermissionAsk {
            summary: "touch /srv/app/new".into(),
            blocked_path: Some("/srv/app/new".into()),
            ..permission("Bash", &json!({"command": "touch /srv/app/new"}))
        }),
        Ask::Permission(PermissionAsk {
            summary: "/home/ann/.ssh/config".into(),
            blocked_path: Some("/home/ann/.ssh/config".into()),
            ..permission("Read", &json!({"file_path": "/home/ann/.ssh/config"}))
        }),
        Ask::Permission(PermissionAsk {
            summary: "/srv/a.txt".into(),
            ..permission("Write", &json!({"file_path": "/srv/a.txt", "content": "one\ntwo\n"}))
        }),
        Ask::Permission(PermissionAsk {
            summary: "https://example.org".into(),
            ..permission("WebFetch", &json!({"url": "https://example.org", "prompt": "What is new?"}))
        }),
        Ask::Permission(permission("mcp__jira__create", &json!({"title": "It breaks", "votes": 3}))),
        Ask::Permission(permission(
            "NotebookEdit",
            &json!({"notebook_path": "/srv/app/a.ipynb", "cell_id": "c1", "new_source": "print(1)"}),
        )),
        Ask::Permission(PermissionAsk {
            summary: "rust sqlite wal".into(),
            ..permission("WebSearch", &json!({"query": "rust sqlite wal"}))
        }),
        Ask::Permission(PermissionAsk {
            summary: "code-review".into(),
            ..permission("Skill", &json!({"skill": "code-review"}))
        }),
        Ask::Permission(PermissionAsk {
            summary: "Look for the leak".into(),
            ..permission("Agent", &json!({"description": "Look for the leak", "prompt": "Read pool.rs"}))
        }),
        Ask::Permission(permission("CronCreate", &json!({"cron": "0 9 * * 1", "prompt": "Is it green?"}))),
        Ask::Permission(permission(
            "Monitor",
            &json!({"command": "tail -f build.log", "description": "The build", "timeout_ms": 60_000}),
        )),
        Ask::Permission(permission(
            "ReportFindings",
            &json!({"findings": [{"file": "a.rs", "line": 3, "summary": "It leaks"}]}),
        )),
        Ask::Permission(PermissionAsk {
            summary: "cat …".into(),
            input: String::new(),
            ..permission("Bash", &Value::Null)
        }),
    ];
    let shown: Vec<String> = tools.iter().map(|ask| shown(ask, &Draft::default())).collect();
    insta::assert_snapshot!(shown.join("\n=====\n"));
}

#[test]
fn a_header_that_only_repeats_the_question_is_left_out() {
    let asked = |header: &str| {
        let question = Question {
            question: "Which database?".into(),
            header: header.into(),
            options: vec![],
            multi_select: false,
        };
        asks(&Ask::Questions(vec![question]), &Draft::default()).text.text
    };
    assert_eq!(asked("Storage"), "❓ Storage\nWhich database?");
    for header in ["", "Which database?", "which database"] {
        assert_eq!(asked(header), "❓ Which database?");
    }
}

#[test]
fn a_long_command_is_folded_and_a_very_long_one_comes_as_a_file() {
    let of = |lines: usize| {
        let command: Vec<String> = (0..lines).map(|line| format!("echo {line:04}")).collect();
        Ask::Permission(permission("Bash", &json!({"command": command.join("\n")})))
    };
    let folded = asks(&of(200), &Draft::default());
    assert!(ahead(&of(200)).is_empty() && folded.text.text.contains("echo 0199"));
    let kinds: Vec<String> = folded.text.entities.iter().map(|entity| format!("{:?}", entity.kind)).collect();
    assert!(kinds.iter().any(|kind| kind == "ExpandableBlockquote"), "{kinds:?}");
    assert!(kinds.iter().any(|kind| kind.starts_with("Pre")), "{kinds:?}");
    let Some(Ahead::File { name: "command.sh", content }) = ahead(&of(400)).pop() else { panic!("no file") };
    assert!(content.ends_with("echo 0399"));
    let cut = asks(&of(400), &Draft::default()).text.text;
    assert!(
        !cut.contains("echo 0399")
            && cut.contains("Shortened: all of it is 3999 characters, in the file above")
    );
}

#[test]
fn a_permission_is_given_once_or_always_or_denied() {
    let (ask, draft) = (bash(), Draft::default());
    assert_eq!(pressed(&ask, &draft, "✅ Allow once"), Step::Decide(Decision::Allow));
    assert_eq!(
        pressed(&ask, &draft, "♾ Always allow rm commands"),
        Step::Decide(Decision::AllowAlways(vec![0]))
    );
    assert!(matches!(pressed(&ask, &draft, "🚫 Deny"), Step::Decide(Decision::Deny(_))));
    let writing = go(pressed(&ask, &draft, "✍️ Deny with a reason"));
    assert_eq!(writing.writer, Some(ann()));
    assert_eq!(reply(&ask, &writing, &ann(), " use make "), Step::Decide(Decision::Deny("use make".into())));
    assert_eq!(go(pressed(&ask, &writing, "↩️ Back")), draft);
    assert!(matches!(pressed(&ask, &writing, "🚫 Deny without a reason"), Step::Decide(Decision::Deny(_))));
    // Not offered, and forged.
    let unoffered = Ask::Permission(permission("Bash", &json!({"command": "ls"})));
    for forged in ["always", "always0"] {
        assert_eq!(press(&unoffered, &draft, &ann(), forged), None, "{forged}");
    }
    for forged in ["always", "always1", "always-1", "alwaysx"] {
        assert_eq!(press(&ask, &draft, &ann(), forged), None, "{forged}");
    }
    assert_eq!(press(&ask, &draft, &ann(), "0"), None);
    insta::assert_snapshot!(shown(&ask, &writing));
}

#[test]
fn each_suggestion_is_granted_by_a_button_of_its_own() {
    let (ask, draft) = (mkdir(), Draft::default());
    for (label, at) in [
        ("♾ Always allow mkdir commands", 0),
        ("♾ Always allow access to x/", 1),
        ("♾ Switch to Accept edits", 2),
    ] {
        assert_eq!(pressed(&ask, &draft, label), Step::Decide(Decision::AllowAlways(vec![at])));
    }
    insta::assert_snapshot!(shown(&ask, &draft));
}

#[test]
fn a_yes_in_words_does_not_deny() {
    for yes in ["yes", "OK!", "👍"] {
        for ask in [bash(), plan_of("x")] {
            assert!(matches!(reply(&ask, &Draft::default(), &ann(), yes), Step::Stay(_)), "{yes}");
        }
    }
    // Who was asked for a reason gave one.
    let writing = go(pressed(&bash(), &Draft::default(), "✍️"));
    assert_eq!(reply(&bash(), &writing, &ann(), "ok"), Step::Decide(Decision::Deny("ok".into())));
    assert!(matches!(reply(&bash(), &writing, &ann(), " \n"), Step::Stay(_)));
}

#[test]
fn questions_come_one_after_the_other_in_one_message() {
    let ask = questions();
    let first = Draft::default();
    let second = go(pressed(&ask, &first, "SQLite"));
    let ticked = go(pressed(&ask, &go(pressed(&ask, &second, "⬜ Tracing")), "⬜ Backups"));
    let unticked = go(pressed(&ask, &ticked, "☑️ Backups"));
    let views = [shown(&ask, &first), shown(&ask, &second), shown(&ask, &ticked)];
    let writing = go(pressed(&ask, &ticked, "✍️ Something else…"));
    insta::assert_snapshot!([views.join("\n=====\n"), shown(&ask, &writing)].join("\n=====\n"));

    let answers = |extras: &str| {
        let pairs = [("Which database?", "SQLite"), ("Which extras?", extras)];
        Step::Decide(Decision::Answers(pairs.map(|(q, a)| (q.to_owned(), a.to_owned())).to_vec()))
    };
    assert_eq!(pressed(&ask, &ticked, "✅ Submit"), answers("Backups, Tracing"));
    assert_eq!(pressed(&ask, &unticked, "✅ Submit"), answers("Tracing"));
    assert!(matches!(pressed(&ask, &second, "✅ Submit"), Step::Stay(_)));
    assert_eq!(reply(&ask, &writing, &ann(), "and logs"), answers("Backups, Tracing, and logs"));
    assert_eq!(go(pressed(&ask, &writing, "↩️ Back to the choices")), ticked);
    assert_eq!(go(pressed(&ask, &ticked, "◀️ Back")).given, []);
    let own = go(reply(&ask, &first, &ann(), "MariaDB"));
    assert_eq!(own.given, [Some(json!("MariaDB"))]);
}

#[test]
fn two_presses_of_a_button_do_one_thing() {
    let ask = questions();
    let second = go(pressed(&ask, &Draft::default(), "SQLite"));
    // The same press once more, where the message has moved on.
    assert_eq!(press(&ask, &second, &ann(), "0.0"), Some(Step::Stay(MOVED_ON.to_owned())));
    let ticked = go(press(&ask, &second, &ann(), "1.+2").expect("known"));
    assert_eq!(press(&ask, &ticked, &ann(), "1.+2"), Some(Step::Go(ticked.clone())));
    for forged in ["", "1", "1.", "1.9", "1.+9", "1.*1", "x.0", "1.go", "1.-"] {
        assert_eq!(press(&ask, &second, &ann(), forged), None, "{forged}");
    }
}

#[test]
fn a_plan_is_rendered_and_approved_in_either_way_or_kept() {
    let (ask, draft) = (plan_of("1. **Read**\n2. Write"), Draft::default());
    assert_eq!(
        pressed(&ask, &draft, "✅ Approve and edit automatically"),
        Step::Decide(Decision::AllowAlways(Vec::new()))
    );
    assert_eq!(pressed(&ask, &draft, "✅ Approve and ask"), Step::Decide(Decision::Allow));
    let writing = go(pressed(&ask, &draft, "✏️ Keep planning"));
    assert_eq!(reply(&ask, &writing, &ann(), "smaller"), Step::Decide(Decision::Deny("smaller".into())));
    assert!(matches!(
        pressed(&ask, &writing, "✏️ Keep planning, no comment"),
        Step::Decide(Decision::Deny(_))
    ));
    let views = [shown(&ask, &draft), shown(&ask, &writing), shown(&plan_of(""), &draft)];
    insta::assert_snapshot!(views.join("\n=====\n"));
}

#[test]
fn a_long_plan_comes_ahead_of_its_question() {
    let long = plan_of(&"A step that is worth its words.\n\n".repeat(200));
    assert!(matches!(&ahead(&long)[..], [Ahead::Text(text)] if text.units() > BODY));
    assert!(shown(&long, &Draft::default()).contains("in the messages above"));
    let longer = plan_of(&"A step that is worth its words.\n\n".repeat(2_000));
    assert!(matches!(&ahead(&longer)[..], [Ahead::File { name: "plan.md", .. }]));
    assert!(shown(&longer, &Draft::default()).contains("in the file above"));
}

#[test]
fn a_form_is_filled_in_field_by_field() {
    let ask = form();
    let mut views = vec![shown(&ask, &Draft::default())];
    let mut draft = go(pressed(&ask, &Draft::default(), "📝 Fill in"));
    assert_eq!(draft.writer, Some(ann()));
    views.push(shown(&ask, &draft));
    assert_eq!(reply(&ask, &draft, &ann(), "ab"), Step::Stay("Title must be 3 to 40 characters.".to_owned()));
    draft = go(reply(&ask, &draft, &ann(), "It breaks"));
    assert_eq!(draft.writer, None, "the next one is chosen, not written");
    views.push(shown(&ask, &draft));
    draft = go(pressed(&ask, &draft, "High"));
    assert_eq!(draft.writer, Some(ann()));
    views.push(shown(&ask, &draft));
    assert_eq!(go(pressed(&ask, &draft, "Keep 1")).given[2], Some(json!(1)));
    draft = go(pressed(&ask, &draft, "⏭ Skip"));
    draft = go(pressed(&ask, &draft, "Yes"));
    assert!(matches!(pressed(&ask, &draft, "✅ Take these"), Step::Stay(_)));
    draft = go(pressed(&ask, &draft, "⬜ db"));
    draft = go(pressed(&ask, &draft, "✅ Take these"));
    views.push(shown(&ask, &draft));
    insta::assert_snapshot!(views.join("\n=====\n"));
    let content = json!({"title": "It breaks", "severity": "hi", "urgent": true, "labels": ["db"]});
    assert_eq!(pressed(&ask, &draft, "✅ Send"), Step::Decide(Decision::Content(content.to_string())));
    assert!(matches!(reply(&ask, &draft, &ann(), "go"), Step::Stay(_)));
    assert_eq!(go(pressed(&ask, &draft, "◀️ Back")).given.len(), 4);
    assert!(matches!(pressed(&ask, &draft, "🚫 Decline"), Step::Decide(Decision::Deny(_))));
    assert_eq!(pressed(&ask, &draft, "✖️ Cancel"), Step::Decide(Decision::Cancel));
}

#[test]
fn a_required_field_cannot_be_skipped_and_no_form_is_sent_half() {
    let draft = go(pressed(&form(), &Draft::default(), "📝 Fill in"));
    for forged in ["0.k", "0.send", "0.d", "ok", "0.b"] {
        assert_eq!(press(&form(), &draft, &ann(), forged), None, "{forged}");
    }
}

#[test]
fn a_link_is_opened_and_accepted_and_what_cannot_be_asked_here_says_where() {
    let fine = link("https://bank.example.org/login?x=1");
    assert_eq!(pressed(&fine, &Draft::default(), "✅ Accept"), Step::Decide(Decision::Allow));
    let local = link("http://localhost:3000/login");
    let nested = Ask::Elicitation(ElicitationAsk {
        server: "jira".into(),
        message: "Which project?".into(),
        url: None,
        schema: r#"{"properties":{"a":{"type":"object"}}}"#.into(),
    });
    let views = [fine, local, nested].map(|ask| shown(&ask, &Draft::default()));
    insta::assert_snapshot!(views.join("\n=====\n"));
}

#[test]
fn a_settled_question_says_who_and_what_and_has_no_buttons() {
    let answered = Settlement::Answered(vec![
        ("Which database?".into(), "SQLite".into()),
        ("Which extras?".into(), "Backups, Tracing".into()),
    ]);
    let filled =
        Settlement::Answered(vec![(String::new(), r#"{"title":"It breaks","severity":"hi"}"#.into())]);
    let cases = [
        (bash(), Settlement::Allowed, "Ann"),
        (bash(), Settlement::AllowedAlways(vec![0]), "Ann"),
        (mkdir(), Settlement::AllowedAlways(vec![1]), "Ann"),
        (bash(), Settlement::Denied("use make".into()), "carcin-ctl"),
        (bash(), Settlement::Denied(permission::DENIED.into()), "Ann"),
        (bash(), Settlement::Withdrawn("Claude ended".into()), "claude"),
        (plan_of("1. Read"), Settlement::Allowed, "Ann"),
        (plan_of("1. Read"), Settlement::AllowedAlways(vec![]), "Ann"),
        (plan_of("1. Read"), Settlement::Denied("smaller".into()), "Ann"),
        (questions(), answered, "Ann"),
        (questions(), Settlement::Withdrawn("stopped by Ann".into()), "claude"),
        (form(), filled, "Ann"),
        (form(), Settlement::Denied(elicitation::DECLINED.into()), "Ann"),
        (form(), Settlement::Cancelled, "Ann"),
    ];
    let shown = cases.map(|(ask, settlement, by)| {
        let message = settled(&ask, Some(&settlement), &outcome(&ask, &settlement, by), &here());
        assert!(message.buttons.is_empty() && !message.sound);
        message.text.text
    });
    insta::assert_snapshot!(shown.join("\n=====\n"));
}

#[test]
fn a_reminder_says_of_what_and_is_heard() {
    let shown = [bash(), questions(), plan_of("x"), form()].map(|ask| {
        let message = reminder(&ask);
        assert!(message.sound);
        message.text.text
    });
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn no_question_is_too_long_for_a_message() {
    let long = "x ".repeat(20_000);
    let mut asks = vec![
        Ask::Permission(PermissionAsk {
            tool: long.clone(),
            description: long.clone(),
            reason: long.clone(),
            blocked_path: Some(long.clone()),
            suggestions: json!([{"type": "addRules", "rules": [{"toolName": "Bash", "ruleContent": long}]}])
                .to_string(),
            ..permission("", &json!({"file_path": long, "command": "y".repeat(2_500)}))
        }),
        plan_of(&long),
        link(&format!("https://example.org/{}", "x".repeat(60_000))),
    ];
    let option = QuestionOption { label: long.clone(), description: long.clone() };
    let question_of = |multi_select| Question {
        question: long.clone(),
        header: long.clone(),
        options: vec![option.clone(); 120],
        multi_select,
    };
    asks.push(Ask::Questions(vec![question_of(false)]));
    asks.push(Ask::Questions(vec![question_of(true), question_of(true)]));
    let writer = Some(Writer { id: 1, name: long.clone() });
    for ask in &asks {
        let given = if matches!(ask, Ask::Questions(all) if all.len() == 2) {
            vec![Some(json!(long))]
        } else {
            Vec::new()
        };
        for writer in [None, writer.clone()] {
            let draft = Draft { given: given.clone(), writer, ..Draft::default() };
            let message = question(ask, &draft, NONCE, &"r".repeat(256), &here());
            assert!(message.text.units() <= MESSAGE_LIMIT, "{}", message.text.units());
            assert!(
                message
                    .buttons
                    .iter()
                    .flatten()
                    .all(|b| b.data.starts_with("open:") || b.data.len() <= MAX_BUTTON_DATA)
            );
            assert!(message.buttons.iter().map(Vec::len).sum::<usize>() <= 100);
            assert!(message.buttons.iter().flatten().all(|button| button.label.chars().count() <= LABEL));
        }
        for settlement in [None, Some(Settlement::Denied(long.clone()))] {
            let message = settled(ask, settlement.as_ref(), &one_line(&long, SENTENCE), &here());
            assert!(message.text.units() <= MESSAGE_LIMIT);
        }
        assert!(reminder(ask).text.units() <= MESSAGE_LIMIT);
    }
}
