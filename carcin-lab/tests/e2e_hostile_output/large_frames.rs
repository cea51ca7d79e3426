//! Frames just under the cap: they are understood, and not copied more than must be.

use anyhow::ensure;
use carcin_lab::rig::Rig;
use carcin_proto::Event;
use carcin_proto::event::{MAX_EXCERPT, MAX_TEXT};
use serde_json::{Value, json};

use crate::kit::{MIB, answer_to, assistant, emit, finish, run, say, unread};

const LARGE: u64 = 15 * MIB;

/// A line that is the JSON `frame`, where "…" in it is this piece so often.
fn line(frame: &Value, piece: &str, times: u64) -> Vec<Value> {
    let frame = frame.to_string();
    let (head, tail) = frame.split_once('…').expect("a place for the pieces");
    vec![json!(head), json!([piece, times]), json!(format!("{tail}\n"))]
}

fn result(tool: &str, content: &Value) -> Value {
    let block = json!({ "type": "tool_result", "tool_use_id": tool, "content": content });
    json!({ "type": "user", "message": { "role": "user", "content": [block] } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_come_one_after_the_other() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        let image = json!([{ "type": "image", "source": { "type": "base64", "data": "…" } }]);
        let mut parts = Vec::new();
        for tool in (0..8).map(|at| format!("t{at}")) {
            parts.push(json!(assistant(
                &json!([{ "type": "tool_use", "id": tool, "name": "Read", "input": {} }])
            )));
            parts.extend(line(&result(&tool, &image), "AAAA", LARGE / 4));
        }
        let texts = say(&talk, &rig, &emit(&json!(parts))).await?;
        ensure!(texts == ["After"], "{} texts", texts.len());
        let log = rig.events.log();
        let ended =
            log.envelopes().filter(|e| matches!(&e.event, Event::ToolEnded(end) if end.output == "[image]"));
        ensure!(ended.count() == 8 && unread(&rig).lines() == 0);
        finish("8 pictures of 15 MiB", rig).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_frame_of_each_kind_is_understood() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        let tool = |id: &str, input: Value| {
            let block = json!({ "type": "tool_use", "id": id, "name": "Write", "input": input });
            json!({ "type": "assistant", "message": { "content": [block] } })
        };
        let user =
            |content: &str| json!({ "type": "user", "message": { "role": "user", "content": content } });
        let mut parts = Vec::new();
        for (frame, piece) in [
            (tool("t1", json!({ "file_path": "/a", "content": "…" })), "x\\n"),
            (result("t1", &json!("…")), "\\u0041\\ud83e\\udd80"),
            (tool("t2", json!({ "file_path": "…" })), "\\n"),
            (result("t2", &json!([{ "type": "text", "text": "…" }, { "type": "text", "text": "b" }])), "é"),
            (user("<local-command-stdout>…</local-command-stdout>"), "o"),
            (
                json!({ "type": "system", "subtype": "informational", "level": "warning", "content": "…" }),
                "w ",
            ),
            (
                json!({ "type": "stream_event", "event": { "type": "content_block_delta", "index": 0,
                "delta": { "type": "text_delta", "text": "…" } } }),
                "d",
            ),
        ] {
            parts.extend(line(&frame, piece, LARGE / piece.len() as u64));
        }
        let texts = say(&talk, &rig, &emit(&json!(parts))).await?;
        let lengths: Vec<_> =
            texts.iter().map(|text| (text.len(), text.chars().take(30).collect::<String>())).collect();
        ensure!(texts.len() == 2 && texts[0].len() == MAX_TEXT, "{lengths:?}");
        ensure!(unread(&rig).lines() == 0);
        let log = rig.events.log();
        let results: Vec<_> = log
            .envelopes()
            .filter_map(|e| match &e.event {
                Event::ToolEnded(ended) => Some((ended.output.len() as u64, ended.omitted)),
                _ => None,
            })
            .collect();
        let crabs = LARGE / 18 * 5;
        ensure!(results.len() == 2 && results.iter().all(|(length, _)| *length <= MAX_EXCERPT as u64));
        ensure!(
            results[0].0 + results[0].1 == crabs && results[1].0 + results[1].1 == LARGE + 2,
            "{results:?}"
        );
        finish("a frame of 15 MiB of each kind", rig).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_of_fifteen_megabytes_arrives_whole() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        let said =
            json!({ "type": "assistant", "message": { "content": [{ "type": "text", "text": "…" }] } });
        let texts = say(&talk, &rig, &emit(&json!(line(&said, "0123456\\n", LARGE / 9)))).await?;
        ensure!(texts.last().is_some_and(|text| text == "After"));
        let said = texts[..texts.len() - 1].concat();
        ensure!(texts.iter().all(|text| text.len() <= MAX_TEXT));
        ensure!(said == "0123456\n".repeat(usize::try_from(LARGE / 9)?), "{} bytes", said.len());
        finish("a text of 15 MiB", rig).await
    })
    .await;
}

/// Each is short, and there are millions of them in a line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn millions_of_tiny_values_cost_no_more() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talk = rig.talk("tg:1");
        let frame =
            |content: &str| format!("{{\"type\":\"assistant\",\"message\":{{\"content\":{content}}}}}");
        let mut parts = Vec::new();
        for (frame, piece) in [
            (frame("[…{}]"), "{},"),
            (frame("[…{\"type\":\"text\",\"text\":\"\"}]"), "{\"type\":\"text\",\"text\":\"\"},"),
            (frame("[{…\"type\":\"text\",\"text\":\"among many\"}]"), "\"a\":1,"),
            ("{\"type\":\"system\",\"subtype\":\"init\",\"slash_commands\":[…\"\"]}".to_owned(), "\"\","),
            (
                "{\"type\":\"result\",\"subtype\":\"success\",\"errors\":[…\"\"],\"modelUsage\":{}}"
                    .to_owned(),
                "\"\",",
            ),
        ] {
            let (head, tail) = frame.split_once('…').expect("a place for the pieces");
            parts.extend([
                json!(head),
                json!([piece, LARGE / piece.len() as u64]),
                json!(format!("{tail}\n")),
            ]);
        }
        let prompt = talk.send(&emit(&json!(parts))).await?;
        rig.events.wait_within("the end", crate::kit::PATIENCE, |log| log.outcome(prompt)).await?;
        finish("millions of tiny values", rig).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_conversations_print_large_frames_at_once() {
    run(async {
        let rig = Rig::builder().start().await?;
        let talks: Vec<_> = (1..=4).map(|at| rig.talk(&format!("tg:{at}"))).collect();
        let mut prompts = Vec::new();
        let image = json!([{ "type": "image", "source": { "type": "base64", "data": "…" } }]);
        for talk in &talks {
            let mut parts = Vec::new();
            parts.extend(line(&result("t", &image), "AAAA", LARGE / 4));
            parts.extend(line(&result("t", &json!("…")), "text\\n", LARGE / 6));
            prompts.push(talk.send(&emit(&json!(parts))).await?);
        }
        for (talk, prompt) in talks.iter().zip(prompts) {
            let texts = answer_to(talk, &rig, prompt).await?;
            ensure!(texts == ["After"], "{} texts", texts.len());
        }
        ensure!(unread(&rig).lines() == 0);
        finish("4 conversations with 2 frames of 15 MiB each", rig).await
    })
    .await;
}
