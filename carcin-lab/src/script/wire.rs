//! The Messages API's stream events, as they stand behind `data:`.
//!
//! Used by the stand-in server, which sends them, and by the scripted `claude`, which wraps them into `stream_event` frames.

use serde_json::{Value, json};

use super::{Beat, Block};

/// The token counts of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// `input_tokens`.
    pub input: u64,
    /// `output_tokens`.
    pub output: u64,
}

/// Turns the beats of one answer into stream events, and gathers the message that they make.
#[derive(Debug)]
pub struct Composer {
    id: String,
    model: String,
    blocks: Vec<Value>,
    open: Option<String>,
    deltas: u64,
    said: Option<Usage>,
    input_estimate: u64,
}

impl Composer {
    /// An answer under a message id; `input_estimate` is what `input_tokens` says unless the script says otherwise.
    pub fn new(id: String, model: String, input_estimate: u64) -> Self {
        Self { id, model, blocks: Vec::new(), open: None, deltas: 0, said: None, input_estimate }
    }

    /// The first event. Token counts must be known by now: scan the beats for [`Beat::Usage`] first.
    pub fn start(&mut self, beats: &[Beat]) -> Value {
        self.said = beats.iter().find_map(|beat| match beat {
            Beat::Usage { input, output } => Some(Usage { input: *input, output: output.unwrap_or(0) }),
            _ => None,
        });
        json!({"type": "message_start", "message": {
            "id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage_json(Usage { output: 1, ..self.usage() }),
        }})
    }

    /// The event of one beat, if it has one.
    pub fn event(&mut self, beat: &Beat) -> Option<Value> {
        match beat {
            Beat::Open(block) => {
                let index = self.blocks.len();
                let content = match block {
                    Block::Text => json!({"type": "text", "text": ""}),
                    Block::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
                    Block::ToolUse(name) => {
                        let id = format!("toolu_{}", uuid::Uuid::new_v4().simple());
                        json!({"type": "tool_use", "id": id, "name": name, "input": {}})
                    }
                };
                self.blocks.push(content.clone());
                self.open = Some(String::new());
                Some(json!({"type": "content_block_start", "index": index, "content_block": content}))
            }
            Beat::Delta(piece) => {
                self.deltas += 1;
                self.open.as_mut()?.push_str(piece);
                let delta = match self.blocks.last()?["type"].as_str()? {
                    "text" => json!({"type": "text_delta", "text": piece}),
                    "thinking" => json!({"type": "thinking_delta", "thinking": piece}),
                    _ => json!({"type": "input_json_delta", "partial_json": piece}),
                };
                Some(json!({"type": "content_block_delta", "index": self.blocks.len() - 1, "delta": delta}))
            }
            Beat::Close => {
                self.finish_block();
                Some(json!({"type": "content_block_stop", "index": self.blocks.len().checked_sub(1)?}))
            }
            _ => None,
        }
    }

    /// A signature, which the API sends before a thinking block ends.
    pub fn signature(&self) -> Option<Value> {
        let block = self.blocks.last()?;
        (self.open.is_some() && block["type"] == "thinking").then(|| {
            json!({"type": "content_block_delta", "index": self.blocks.len() - 1,
                "delta": {"type": "signature_delta", "signature": SIGNATURE}})
        })
    }

    /// The two last events.
    pub fn end(&self) -> [Value; 2] {
        let stop = json!({"stop_reason": self.stop_reason(), "stop_sequence": null});
        [
            json!({"type": "message_delta", "delta": stop, "usage": usage_json(self.usage())}),
            json!({"type": "message_stop"}),
        ]
    }

    /// The whole message, as an answer that is not streamed.
    pub fn message(&self) -> Value {
        json!({"id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": self.blocks,
            "stop_reason": self.stop_reason(), "stop_sequence": null, "usage": usage_json(self.usage())})
    }

    /// The blocks that are finished.
    pub fn blocks(&self) -> &[Value] {
        let finished = self.blocks.len() - usize::from(self.open.is_some());
        &self.blocks[..finished]
    }

    /// Ends the open block where it is, as an interrupt does. False if none is open.
    pub fn finish_block(&mut self) -> bool {
        let (Some(content), Some(block)) = (self.open.take(), self.blocks.last_mut()) else { return false };
        match block["type"].as_str() {
            Some("text") => block["text"] = json!(content),
            Some("thinking") => {
                block["thinking"] = json!(content);
                block["signature"] = json!(SIGNATURE);
            }
            _ => block["input"] = serde_json::from_str(&content).unwrap_or_else(|_| json!({})),
        }
        true
    }

    /// The token counts of the answer so far.
    pub fn usage(&self) -> Usage {
        match self.said {
            Some(Usage { input, output: 0 }) => Usage { input, output: self.deltas.max(1) },
            Some(usage) => usage,
            None => Usage { input: self.input_estimate, output: self.deltas.max(1) },
        }
    }

    /// Why the answer ends.
    pub fn stop_reason(&self) -> &'static str {
        if self.blocks.iter().any(|block| block["type"] == "tool_use") { "tool_use" } else { "end_turn" }
    }
}

/// Stands for the signature of a thinking block; nobody can check it.
const SIGNATURE: &str = "c2NyaXB0ZWQ=";

fn usage_json(usage: Usage) -> Value {
    json!({"input_tokens": usage.input, "output_tokens": usage.output, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0})
}

/// The body of an HTTP error.
pub fn error_body(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}
