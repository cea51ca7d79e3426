//! Questions that are too long to be asked: Claude must not wait for them for ever.

use anyhow::ensure;
use carcin_lab::rig::Rig;
use carcin_proto::Event;
use carcin_proto::event::{Ask, LineProblem};
use carcin_proto::request::Decision;
use serde_json::{Value, json};

use crate::kit::{MIB, answer_to, finish, on_disk, run, say, unread};

/// Prints a question and waits for its answer.
fn question(parts: &Value) -> String {
    format!("!emit {}\n!text Answered", json!({ "parts": parts, "answer": "r-1" }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_over_the_cap_is_refused() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        let input = r#""request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":""#;
        let (head, tail) = (r#"{"type":"control_request""#, "\"}}");
        let id = r#","request_id":"r-1""#;
        // The id where Claude Code writes it, and at the end.
        for parts in [
            json!([head, id, ",", input, ["x", 17 * MIB], tail, "}\n"]),
            json!([head, ",", input, ["x", 17 * MIB], tail, id, "}\n"]),
        ] {
            ensure!(say(&talk, &rig, &question(&parts)).await? == ["Answered"]);
        }
        let unread = unread(&rig);
        ensure!(
            unread.alone.len() == 2 && unread.alone.iter().all(|line| line.problem == LineProblem::TooLong)
        );
        ensure!(
            !rig.events.log().envelopes().any(|envelope| matches!(envelope.event, Event::RequestOpened(_)))
        );
        finish("questions over the cap", rig).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_with_ten_megabytes_of_input_is_asked_in_short() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        let parts = json!([
            r#"{"type":"control_request","request_id":"r-1","request":{"subtype":"can_use_tool","tool_name":"Bash","#,
            r#""input":{"command":"echo "#, ["\\n", 5 * MIB], r#""},"description":""#, ["why ", MIB], "\"}}\n",
        ]);
        let prompt = talk.send(&question(&parts)).await?;
        let asked = talk.asked().await?;
        let Ask::Permission(permission) = &asked.ask else { anyhow::bail!("it asks {asked:?}") };
        ensure!(permission.input.is_empty() && permission.summary == "echo", "{permission:?}");
        ensure!(permission.description.len() < 2000, "{} bytes", permission.description.len());
        talk.answer(&asked.request, Decision::Deny("no".to_owned()), "Alex").await?;
        ensure!(answer_to(&talk, &rig, prompt).await? == ["Answered"]);
        let journal = on_disk(&rig.places.state().join("journal.db"));
        ensure!(journal < MIB, "the journal takes {journal} bytes");
        ensure!(unread(&rig).lines() == 0);
        finish("a question of 10 MiB", rig).await
    })
    .await;
}
