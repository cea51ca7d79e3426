//! Lines that no Claude should print, of every kind: what can be understood is, the rest is kept raw, counted, and
//! shown by `carcin-ctl watch --raw --from 1`.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use carcin_lab::rig::Rig;
use carcin_proto::event::LineProblem;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::kit::{PATIENCE, emit, finish, replaced, run, said, say, status, unread};

/// Lines that mean nothing, as parts of an emission, and what is the matter with each.
fn meaningless() -> Vec<(Value, LineProblem)> {
    use LineProblem::{BadShape, NotAFrame, NotJson, UnknownType};
    let text = |line: &str, problem: LineProblem| (json!([line]), problem);
    let deep = 100_000;
    vec![
        text("12", NotAFrame),
        text("-0.0e-0", NotAFrame),
        text("1e999", NotAFrame),
        (json!([["9", 400]]), NotAFrame),
        text("\"text\"", NotAFrame),
        text("[1,{\"type\":\"result\"}]", NotAFrame),
        text("true", NotAFrame),
        text("null", NotAFrame),
        text("{}", NotAFrame),
        text("{\"type\":null}", NotAFrame),
        text("{\"type\":18446744073709551617}", NotAFrame),
        text("{\"type\":{\"type\":\"result\"}}", NotAFrame),
        text("{\"type\":\"news\",\"session_id\":7}", UnknownType("news".into())),
        text("{\"type\":\"system\",\"subtype\":\"\\ud800\"}", UnknownType("system/\u{fffd}".into())),
        text("{\"type\":\"assistant\"}", BadShape("assistant".into())),
        text("{\"type\":\"assistant\",\"message\":null}", BadShape("assistant".into())),
        text("{\"type\":\"user\",\"message\":[]}", BadShape("user".into())),
        text("{\"type\":\"stream_event\",\"event\":1e999}", BadShape("stream_event".into())),
        text("{\"type\":\"control_request\",\"request_id\":\"\"}", BadShape("control_request".into())),
        text("{\"type\":\"assistant\"", NotJson),
        text("nonsense \u{1b}[31m\u{1b}]0;title\u{7} \u{9b}2J \u{202e}", NotJson),
        text("nul \0 nul", NotJson),
        (json!([{ "hex": "fffe00017f80c0" }]), NotJson),
        (json!([["[", deep], ["]", deep]]), NotAFrame),
        (json!([["{\"type\":", deep]]), NotJson),
        (json!(["{\"type\":\"news\",\"x\":", ["[", deep], ["]", deep], "}"]), UnknownType("news".into())),
        (json!(["{\"type\":\"", ["long", 1000], "\"}"]), UnknownType("long".repeat(64))),
    ]
}

/// Lines of which the text can be understood, as parts of an emission.
fn understood() -> Vec<(Value, &'static str)> {
    let with = |more: &str, text: &str| {
        format!(
            "{{\"type\":\"assistant\",{more}\"message\":{{\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}]}}}}"
        )
    };
    let many = "9".repeat(400);
    vec![
        (json!(["\u{feff}", said("after a byte order mark").trim_end()]), "after a byte order mark"),
        (json!([said("before a carriage return").trim_end(), "\r"]), "before a carriage return"),
        (json!([with("", "half \\ud83e of a pair")]), "half \u{fffd} of a pair"),
        (json!([with("\"half \\ud800\":1,", "a strange name")]), "a strange name"),
        (json!([with("", "a nul \\u0000")]), "a nul \0"),
        (
            json!([r#"{"type":"assistant","message":{"content":[{"type":"text","text":"no "#, { "hex": "ff" }, r#" UTF-8"}]}}"#]),
            "no \u{fffd} UTF-8",
        ),
        (
            json!([
                "{\"x\":",
                ["{\"y\":[", 100_000],
                ["]}", 100_000],
                ",",
                with("", "deep below").trim_start_matches('{')
            ]),
            "deep below",
        ),
        (
            json!([with(
                &format!("\"session_id\":null,\"parent_tool_use_id\":null,\"error\":{many},"),
                "nulls and numbers"
            )]),
            "nulls and numbers",
        ),
        (
            json!([format!(
                "{{\"type\":\"assistant\",\"message\":{{\"usage\":{{\"input_tokens\":1e999,\"output_tokens\":{many},\
                 \"cache_read_input_tokens\":18446744073709551617}},\"id\":7,\"model\":[],\"content\":[null,3,\
                 {{\"type\":null}},{{\"type\":\"text\",\"text\":null}},{{\"type\":\"text\",\"text\":\"among others\"}}]}}}}"
            )]),
            "among others",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_understood_is_told_and_the_rest_is_kept() {
    run(async {
        let mut rig = Rig::builder().front().start().await?;
        let talk = rig.owners_talk();
        let (meaningless, understood) = (meaningless(), understood());
        let mut parts = vec![json!("\n\n \r\n\t\n")];
        let mut lines =
            meaningless.iter().map(|(line, _)| line).chain(understood.iter().map(|(line, _)| line));
        for line in &mut lines {
            parts.extend(line.as_array().into_iter().flatten().cloned());
            parts.push(json!("\n"));
        }
        let texts = say(&talk, &rig, &emit(&json!(parts))).await?;
        let expected: Vec<&str> = understood.iter().map(|(_, text)| *text).chain(["After"]).collect();
        ensure!(texts == expected, "{texts:#?}");
        let kept = unread(&rig);
        let problems: Vec<&LineProblem> = kept.kept().map(|line| &line.problem).collect();
        let expected: Vec<&LineProblem> = meaningless.iter().map(|(_, problem)| problem).collect();
        ensure!(problems == expected, "{problems:#?}");

        // The phone shows what was said, and nothing of the rest.
        rig.sees("After").await?;
        let shown = rig.shown();
        ensure!(shown.iter().any(|text| text.contains("among others")), "{shown:#?}");
        ensure!(
            !shown.iter().any(|text| text.contains("nonsense") || text.contains("understood")),
            "{shown:#?}"
        );

        let count = meaningless.len() as u64;
        ensure!(status(&rig, talk.key()).await?.unrecognised == count);
        replaced("odd lines", &mut rig).await?;
        ensure!(status(&rig, talk.key()).await?.unrecognised == count, "after a restart");
        looked_at(&rig, &expected).await?;
        finish("odd lines", rig).await
    })
    .await;
}

/// What no type holds is cut to what it holds, by all who look at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_any_size_harm_nobody() {
    run(async {
        let mut rig = Rig::builder().front().start().await?;
        let talk = rig.owners_talk();
        let many = "9".repeat(400);
        let mut parts = Vec::new();
        for number in ["1e999", "-1", "18446744073709551615", "18446744073709551617", "1e300", "null", "\"x\"", many.as_str()] {
            parts.push(json!(said("Before")));
            parts.push(json!(format!(
                "{{\"type\":\"system\",\"subtype\":\"api_retry\",\"attempt\":{number},\"max_retries\":{number},\
                 \"retry_delay_ms\":{number},\"error_status\":{number}}}\n\
                 {{\"type\":\"system\",\"subtype\":\"compact_boundary\",\"compact_metadata\":{{\"pre_tokens\":{number},\
                 \"post_tokens\":{number}}}}}\n\
                 {{\"type\":\"rate_limit_event\",\"rate_limit_info\":{{\"status\":\"rejected\",\"resetsAt\":{number},\
                 \"utilization\":{number}}}}}\n\
                 {{\"type\":\"tool_progress\",\"tool_use_id\":\"t\",\"elapsed_time_seconds\":{number}}}\n\
                 {{\"type\":\"stream_event\",\"event\":{{\"type\":\"content_block_start\",\"index\":{number},\
                 \"content_block\":{{\"type\":\"text\"}}}}}}\n\
                 {{\"type\":\"result\",\"subtype\":\"success\",\"duration_ms\":{number},\"num_turns\":{number},\
                 \"total_cost_usd\":{number},\"usage\":{{\"input_tokens\":{number},\"output_tokens\":{number}}},\
                 \"modelUsage\":{{\"m\":{{\"contextWindow\":{number},\"inputTokens\":{number}}}}}}}\n"
            )));
        }
        let prompt = talk.send(&emit(&json!(parts))).await?;
        rig.events.ended(prompt).await?;
        rig.sees("After").await?;
        ensure!(rig.front.as_mut().is_some_and(carcin_lab::rig::Process::is_running), "carcin-tg has ended");
        for verb in [&["status"][..], &["recent"], &["watch", "--from", "1"], &["watch", "--json", "--from", "1"]] {
            Box::pin(shows(&rig, verb)).await?;
        }
        finish("numbers", rig).await
    })
    .await;
}

/// This verb of `carcin-ctl` shows what there is, or, where it does not end by itself, comes to the last text.
async fn shows(rig: &Rig, verb: &[&str]) -> anyhow::Result<()> {
    let mut ctl = Command::new(rig.programs().join("carcin-ctl"));
    ctl.args(verb).env("CARCIN_SOCKET", rig.places.socket()).stderr(Stdio::piped()).stdout(Stdio::piped());
    let mut ctl = ctl.kill_on_drop(true).spawn()?;
    let mut shown = BufReader::new(ctl.stdout.take().context("no stdout")?).lines();
    let reading = async {
        while let Some(line) = shown.next_line().await? {
            if verb[0] == "watch" && line.contains("After") {
                return anyhow::Ok(true);
            }
        }
        Ok(verb[0] != "watch")
    };
    ensure!(tokio::time::timeout(PATIENCE, reading).await??, "{verb:?} ended");
    if verb[0] != "watch" {
        let ended = ctl.wait_with_output().await?;
        ensure!(ended.status.success(), "{verb:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    Ok(())
}

/// `carcin-ctl watch --raw --from 1` shows each of them, and nothing that a terminal would act on.
async fn looked_at(rig: &Rig, problems: &[&LineProblem]) -> anyhow::Result<()> {
    let mut ctl = Command::new(rig.programs().join("carcin-ctl"))
        .args(["watch", "--raw", "--from", "1"])
        .env("CARCIN_SOCKET", rig.places.socket())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut shown = BufReader::new(ctl.stdout.take().context("no stdout")?).split(b'\n');
    let mut raw: Vec<String> = Vec::new();
    let reading = async {
        let mut events = 0;
        while let Some(line) = shown.next_segment().await? {
            let line = String::from_utf8(line).context("what is shown is no UTF-8")?;
            ensure!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
            events += usize::from(line.contains("was not understood: "));
            if line.starts_with("  ") {
                raw.push(line);
            }
            // The last of them is long, and says so.
            if events == problems.len() && raw.last().is_some_and(|line| line.contains("longlong")) {
                return Ok(());
            }
        }
        anyhow::bail!("it ended after {events} of {}", problems.len())
    };
    tokio::time::timeout(PATIENCE, reading).await.context("it does not show all of them")??;
    let shows = |part: &str| raw.iter().any(|line| line.contains(part));
    ensure!(shows(r"nonsense \x1b[31m\x1b]0;title\x07 \u{9b}2J \u{202e}"), "{raw:#?}");
    ensure!(shows(r"\xff\xfe\x00\x01\x7f\x80\xc0") && shows(r"nul \x00 nul"));
    ensure!(shows("… the first 65536 of 200001 bytes"));
    ctl.kill().await?;
    Ok(())
}
