//! One answer of Claude's: the script's beats as frames.

use std::time::Duration;

use serde_json::{Value, json};

use super::clock::timestamp;
use super::gate_path;
use super::io::merge;
use super::session::{Halt, Session};
use super::tools::{ToolUse, plan};
use super::turn::Turn;
use crate::script::Beat;
use crate::script::wire::Composer;

/// How often a gate's file is looked for.
const GATE_POLL: Duration = Duration::from_millis(10);
/// The delay before the first retry; each one doubles it, up to [`MAX_RETRY_DELAY`].
const RETRY_DELAY: Duration = Duration::from_millis(500);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(32);
/// How often the API is asked again, unless `CLAUDE_CODE_MAX_RETRIES` says otherwise.
const MAX_RETRIES: u32 = 10;
/// Statuses that are final at once.
const FINAL: [u16; 4] = [400, 403, 404, 413];

/// How an answer ended.
#[derive(Debug)]
pub(super) enum Answered {
    /// With calls of tools.
    Tools(Vec<ToolUse>),
    /// With words, or with an error.
    End,
    /// The connection was cut.
    Cut,
}

impl Session {
    /// Lets Claude answer, with retries while the script has errors.
    pub(super) async fn answer(&mut self, turn: &mut Turn) -> Result<Answered, Halt> {
        loop {
            let beats = turn.script.answer(&turn.context);
            let Some(Beat::Fail { status, kind }) = beats.last().cloned() else {
                turn.context.errors_so_far = 0;
                return self.play(&beats, turn).await;
            };
            for beat in &beats {
                self.wait(beat).await.inspect_err(|halt| self.interrupted_early(halt, turn))?;
            }
            turn.context.errors_so_far += 1;
            let attempt = turn.context.errors_so_far;
            let most = std::env::var("CLAUDE_CODE_MAX_RETRIES")
                .ok()
                .and_then(|most| most.parse().ok())
                .unwrap_or(MAX_RETRIES);
            if FINAL.contains(&status) || attempt > most {
                self.api_error(status, &kind, turn);
                return Ok(Answered::End);
            }
            let delay = (RETRY_DELAY * 2u32.saturating_pow(attempt - 1)).min(MAX_RETRY_DELAY);
            self.out.system(
                "api_retry",
                json!({"attempt": attempt, "max_retries": most, "retry_delay_ms": millis(delay),
                    "error_status": status, "error": error_name(status)}),
            );
            let waited = self.while_taking(tokio::time::sleep(delay)).await;
            waited.inspect_err(|halt| self.interrupted_early(halt, turn))?;
        }
    }

    /// An interrupt before anything was said.
    fn interrupted_early(&mut self, halt: &Halt, turn: &mut Turn) {
        if *halt == Halt::Interrupted {
            self.acknowledge(turn);
            turn.stop_reason = None;
            self.emit_user_text("[Request interrupted by user]", json!({}));
        }
    }

    async fn play(&mut self, beats: &[Beat], turn: &mut Turn) -> Result<Answered, Halt> {
        self.acknowledge(turn);
        turn.stop_reason = None;
        let id = format!("msg_{}", uuid::Uuid::new_v4().simple());
        let estimate = turn.context.last_results.concat().len() + turn.uuids.len() * 1000;
        let mut composer = Composer::new(id.clone(), self.model.clone(), 1000 + estimate as u64 / 4);
        let start = composer.start(beats);
        self.emit_stream(&start, &id, Some(turn));
        for beat in beats {
            if *beat == Beat::Cut {
                if composer.finish_block() {
                    self.emit_block(&composer, &id, json!({}));
                }
                self.emit_stream(&json!({"type": "message_stop"}), &id, None);
                turn.count(&composer);
                return Ok(Answered::Cut);
            }
            if let Err(halt) = self.wait(beat).await {
                if halt == Halt::Interrupted {
                    self.cut_short(&mut composer, &id);
                }
                turn.count(&composer);
                return Err(halt);
            }
            if *beat == Beat::Close
                && let Some(signature) = composer.signature()
            {
                self.emit_stream(&signature, &id, None);
            }
            let Some(event) = composer.event(beat) else { continue };
            if *beat == Beat::Close {
                self.emit_block(&composer, &id, json!({}));
                self.ask_early(&composer);
            }
            self.emit_stream(&event, &id, None);
        }
        for event in composer.end() {
            self.emit_stream(&event, &id, None);
        }
        turn.count(&composer);
        turn.stop_reason = Some(composer.stop_reason());
        let mut texts = composer.blocks().iter().filter_map(|block| block["text"].as_str());
        if let Some(text) = texts.next_back() {
            text.clone_into(&mut turn.last_text);
        }
        let uses: Vec<ToolUse> = composer.blocks().iter().filter_map(ToolUse::of_block).collect();
        Ok(if uses.is_empty() { Answered::End } else { Answered::Tools(uses) })
    }

    /// What an interrupt in mid-stream leaves: the text so far, and that it was interrupted.
    fn cut_short(&mut self, composer: &mut Composer, id: &str) {
        let was_open = composer.finish_block();
        if was_open {
            self.emit_block(composer, id, json!({"aborted": true}));
        }
        self.emit_user_text("[Request interrupted by user]", json!({}));
        if was_open {
            let index = composer.blocks().len() - 1;
            self.emit_stream(&json!({"type": "content_block_stop", "index": index}), id, None);
        }
        for event in composer.end() {
            self.emit_stream(&event, id, None);
        }
    }

    /// The last finished block as an `assistant` frame.
    fn emit_block(&mut self, composer: &Composer, id: &str, more: Value) {
        let Some(mut block) = composer.blocks().last().cloned() else { return };
        if block["name"] == "ExitPlanMode" {
            plan::complete(&mut block["input"], &self.plan_file);
        }
        let message = json!({"id": id, "type": "message", "role": "assistant", "model": self.model, "content": [block],
            "stop_reason": null, "stop_sequence": null, "context_management": null,
            "usage": {"input_tokens": composer.usage().input, "output_tokens": 1, "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0}});
        let mut frame = json!({"type": "assistant", "message": message, "parent_tool_use_id": null, "timestamp": timestamp()});
        merge(&mut frame, more);
        let uuid = self.out.emit(frame);
        self.transcript.message("assistant", &uuid, &message, json!({}));
    }

    fn emit_stream(&self, event: &Value, id: &str, turn: Option<&Turn>) {
        if !self.out.partial_messages {
            return;
        }
        let mut frame =
            json!({"type": "stream_event", "event": event, "parent_tool_use_id": null, "api_message_id": id});
        if let Some(turn) = turn {
            merge(&mut frame, json!({"ttft_ms": 1, "user_message_uuids": turn.uuids}));
        }
        self.out.emit(frame);
    }

    /// Takes as long as a beat says.
    pub(super) async fn wait(&mut self, beat: &Beat) -> Result<(), Halt> {
        match beat {
            Beat::Pause(pause) => self.while_taking(tokio::time::sleep(*pause)).await,
            Beat::Gate(name) => {
                let path = gate_path(&self.home, name);
                let open = async {
                    while !path.exists() {
                        tokio::time::sleep(GATE_POLL).await;
                    }
                };
                self.while_taking(open).await
            }
            Beat::Limit(limit) => {
                self.out.emit(limit.frame(super::clock::seconds()));
                self.while_taking(tokio::task::yield_now()).await
            }
            Beat::Emit(emission) => self.emission(emission).await,
            Beat::Hang => self.while_taking(std::future::pending()).await,
            // Even a script without pauses lets an interrupt in.
            _ => self.while_taking(tokio::task::yield_now()).await,
        }
    }

    fn api_error(&mut self, status: u16, kind: &str, turn: &mut Turn) {
        self.acknowledge(turn);
        let words = match status {
            401 => "Invalid API key · Fix external API key".to_owned(),
            529 => "API Error: 529 Overloaded. This is a server-side issue, usually temporary — try again in a moment.".to_owned(),
            _ => format!("API Error: {status} Scripted error"),
        };
        let message = json!({"id": uuid::Uuid::new_v4(), "type": "message", "role": "assistant", "model": "<synthetic>",
            "content": [{"type": "text", "text": words}], "stop_reason": "stop_sequence", "stop_sequence": "",
            "usage": {"input_tokens": 0, "output_tokens": 0}});
        let uuid = self.out.emit(json!({"type": "assistant", "message": message, "parent_tool_use_id": null,
            "timestamp": timestamp(), "error": error_name(status), "is_api_error_message": true,
            "api_error_status": status, "api_error_type": kind}));
        self.transcript.message("assistant", &uuid, &message, json!({"isApiErrorMessage": true}));
        turn.api_error = Some((status, words));
    }
}

/// The CLI's own word for a status.
fn error_name(status: u16) -> &'static str {
    match status {
        401 | 403 => "authentication_failed",
        429 => "rate_limit",
        529 => "overloaded",
        400..=499 => "invalid_request",
        _ => "server_error",
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
