//! The Messages API stand-in, asked as the CLI asks it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use carcin_lab::model::{Mode, ModelConfig, ModelLab};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);

fn request(prompt: &str, stream: bool) -> Value {
    json!({"model": "claude-x", "stream": stream, "tools": [{"name": "Bash"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": prompt}]}]})
}

async fn ask(lab: &ModelLab, body: &Value) -> reqwest::Result<reqwest::Response> {
    let url = format!("{}/v1/messages?beta=true", lab.base_url());
    reqwest::Client::new().post(url).json(body).send().await
}

fn events(stream: &str) -> Vec<String> {
    stream.lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_streamed_answer_has_the_apis_events_in_order() -> Result<()> {
    let lab = ModelLab::start(ModelConfig::default()).await?;
    let body = ask(&lab, &request("!text hi\n!tool Bash {\"command\":\"ls\"}", true)).await?.text().await?;
    let (start, delta, stop) = ("content_block_start", "content_block_delta", "content_block_stop");
    let expected =
        ["message_start", start, delta, stop, start, delta, delta, stop, "message_delta", "message_stop"];
    ensure!(events(&body) == expected, "{body}");
    ensure!(body.contains("\"stop_reason\":\"tool_use\""));
    Ok(())
}

#[tokio::test]
async fn a_whole_answer_is_a_message() -> Result<()> {
    let lab = ModelLab::start(ModelConfig::default()).await?;
    let message: Value = ask(&lab, &request("!usage in=7 out=9\n!text hi", false)).await?.json().await?;
    ensure!(message["content"] == json!([{"type": "text", "text": "hi"}]), "{message}");
    ensure!(message["usage"]["input_tokens"] == 7 && message["usage"]["output_tokens"] == 9);
    ensure!(message["stop_reason"] == "end_turn");
    Ok(())
}

#[tokio::test]
async fn an_error_comes_as_often_as_the_script_says() -> Result<()> {
    let lab = ModelLab::start(ModelConfig::default()).await?;
    let body = request("!error 529 overloaded_error 2\n!text hi", true);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ask(&lab, &body).await?.status().as_u16());
    }
    ensure!(statuses == [529, 529, 200]);
    ensure!(lab.requests().len() == 3);
    ensure!(lab.prompts().len() == 1, "a retry asks nothing new");
    ensure!(lab.begun().len() == 3, "but it is seen");
    Ok(())
}

#[tokio::test]
async fn a_turn_is_begun_by_its_first_request_and_seen_each_time() -> Result<()> {
    let lab = ModelLab::start(ModelConfig::default()).await?;
    let prompt = json!({"role": "user", "content": "!tool Bash {}\n!text hi"});
    let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]});
    let result =
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "went"}]});
    let asked = |messages: Value| json!({"model": "claude-test", "messages": messages, "stream": true, "tools": [{"name": "Bash"}]});
    for _ in 0..2 {
        ask(&lab, &asked(json!([prompt]))).await?.text().await?;
        ask(&lab, &asked(json!([prompt, call, result]))).await?.text().await?;
    }
    let prompt = "!tool Bash {}\n!text hi";
    ensure!(lab.prompts() == [prompt], "{:?}", lab.prompts());
    ensure!(lab.begun() == [prompt, prompt], "{:?}", lab.begun());
    Ok(())
}

#[tokio::test]
async fn a_gate_opens_for_those_who_wait_and_those_who_come_later() -> Result<()> {
    let lab = ModelLab::start(ModelConfig::default()).await?;
    let body = request("!text a\n!gate go\n!text b", true);
    let mut waiting = ask(&lab, &body).await?;
    let first = waiting.chunk().await?.context("what comes before the gate")?;
    ensure!(!String::from_utf8_lossy(&first).contains("\"b\""));
    lab.open_gate("go");
    let mut rest = String::new();
    while let Some(chunk) = waiting.chunk().await? {
        rest.push_str(&String::from_utf8_lossy(&chunk));
    }
    ensure!(rest.contains("\"b\"") && rest.contains("message_stop"));
    let later = tokio::time::timeout(PATIENCE, ask(&lab, &body).await?.text()).await??;
    ensure!(later.contains("message_stop"));
    Ok(())
}

#[tokio::test]
async fn a_cut_stream_is_an_error_to_the_reader() -> Result<()> {
    let lab = ModelLab::start(ModelConfig::default()).await?;
    let mut answer = ask(&lab, &request("!text a\n!die", true)).await?;
    ensure!(answer.chunk().await?.is_some(), "what was said arrives");
    let rest = async {
        while answer.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    ensure!(tokio::time::timeout(PATIENCE, rest).await?.is_err());
    Ok(())
}

#[tokio::test]
async fn every_mode_answers_in_its_way_and_can_be_left() -> Result<()> {
    let lab = ModelLab::start(ModelConfig::default()).await?;
    let body = request("!text hi", true);
    for (mode, status) in [(Mode::Unauthenticated, 401), (Mode::RateLimited, 429), (Mode::Overloaded, 529)] {
        lab.set_mode(mode);
        let answer = ask(&lab, &body).await?;
        ensure!(answer.status() == status);
        let error: Value = answer.json().await?;
        ensure!(error["type"] == "error" && error["error"]["type"].is_string(), "{error}");
    }
    lab.set_mode(Mode::Down);
    ensure!(ask(&lab, &body).await.is_err());
    let url = format!("{}/lab/mode/script", lab.base_url());
    ensure!(
        reqwest::Client::new().post(url).send().await?.status() == 204,
        "the controls answer even when it is down"
    );
    ensure!(ask(&lab, &body).await?.status() == 200);
    Ok(())
}

#[tokio::test]
async fn other_paths_are_answered_as_the_api_does() -> Result<()> {
    let lab = ModelLab::start(ModelConfig::default()).await?;
    let client = reqwest::Client::new();
    let url = format!("{}/v1/messages/count_tokens", lab.base_url());
    let count: Value = client.post(url).json(&json!({"messages": []})).send().await?.json().await?;
    ensure!(count["input_tokens"].is_u64());
    let missing = client.get(format!("{}/v1/models", lab.base_url())).send().await?;
    ensure!(missing.status() == 404);
    ensure!(missing.json::<Value>().await?["error"]["type"] == "not_found_error");
    Ok(())
}

#[tokio::test]
async fn what_was_asked_can_be_waited_for_and_read() -> Result<()> {
    let lab = ModelLab::start(ModelConfig::default()).await?;
    let waiting =
        lab.wait_for("a prompt", PATIENCE, |requests| requests.first().map(|request| request.prompt.clone()));
    let body = request("!text hi", true);
    let (prompt, answer) = tokio::join!(waiting, ask(&lab, &body));
    ensure!(prompt? == "!text hi");
    answer?;
    let prompts: Value = reqwest::get(format!("{}/lab/prompts", lab.base_url())).await?.json().await?;
    ensure!(prompts == json!(["!text hi"]));
    let requests: Value = reqwest::get(format!("{}/lab/requests", lab.base_url())).await?.json().await?;
    ensure!(requests[0]["asked"] == "turn" && requests[0]["body"]["model"] == "claude-x");
    let vain = lab.wait_for("nothing", Duration::from_millis(20), |_| None::<()>).await;
    ensure!(vain.is_err_and(|error| error.to_string().contains("nothing")));
    Ok(())
}

#[tokio::test]
async fn a_lab_that_is_gone_answers_nobody() -> Result<()> {
    let lab = ModelLab::start(ModelConfig::default()).await?;
    let url = format!("{}/lab/prompts", lab.base_url());
    let client = reqwest::Client::new();
    ensure!(client.get(&url).send().await?.status() == 200);
    drop(lab);
    let refused = async {
        while client.get(&url).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.context("it still answers")
}
