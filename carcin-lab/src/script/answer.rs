//! From the steps to one answer of the model.
//!
//! A script spans several API requests: each ends at a tool call and the next begins when the results are back. How far it has come
//! is the number of tools called since the prompt, which the conversation tells; so nothing has to be remembered, and a
//! conversation that was resumed goes on where it was.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Script, Step, ToolCall, todo, words};

/// What an answer depends on besides the script.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The session's working directory, for `$CWD`.
    pub cwd: String,
    /// The session's plan file, for `$PLAN_FILE`.
    pub plan_file: String,
    /// The names of the tools that may be called.
    pub tools: Vec<String>,
    /// How many tasks `TaskCreate` had made before this prompt.
    pub tasks_before: usize,
    /// How many tools were called since the prompt.
    pub tools_done: usize,
    /// The content of the results of the last tools called since the prompt.
    pub last_results: Vec<String>,
    /// How many streams were cut since the prompt, and Claude was asked to go on.
    pub cuts: usize,
    /// How often this very answer has been an HTTP error already.
    pub errors_so_far: u32,
}

/// The smallest thing that happens in an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Beat {
    /// A content block begins.
    Open(Block),
    /// A piece of the block that is open: text, thinking or a tool's input as JSON.
    Delta(String),
    /// The block that is open ends.
    Close,
    /// Nothing for so long.
    Pause(Duration),
    /// Nothing until the gate of this name is opened.
    Gate(String),
    /// Not an answer but this HTTP error; only ever the first thing that is said.
    Fail {
        /// The HTTP status.
        status: u16,
        /// The error's `type`.
        kind: String,
    },
    /// The connection is cut.
    Cut,
    /// Nothing, ever again.
    Hang,
    /// The token counts to report.
    Usage {
        /// `input_tokens`.
        input: u64,
        /// `output_tokens`; `None` counts what was said.
        output: Option<u64>,
    },
}

/// A content block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Text.
    Text,
    /// Thinking.
    Thinking,
    /// A call of the tool of this name.
    ToolUse(String),
}

impl Script {
    /// What the model says to the request that `context` describes.
    pub fn answer(&self, context: &Context) -> Vec<Beat> {
        let steps = self.expanded(context);
        let Some(rest) =
            after_tools(&steps, context.tools_done).map(|rest| after_cuts(&steps, rest, context.cuts))
        else {
            return said("The script has ended.", 0);
        };
        let mut beats = Vec::new();
        for step in rest {
            match step {
                Step::Error { status, kind, times } => {
                    // An error is only possible before anything was said: HTTP has one status per answer.
                    if beats.iter().all(|beat| matches!(beat, Beat::Pause(_) | Beat::Gate(_)))
                        && times.is_none_or(|times| context.errors_so_far < times)
                    {
                        beats.push(Beat::Fail { status: *status, kind: kind.clone() });
                        return beats;
                    }
                }
                Step::Tools(calls) => {
                    calls.iter().for_each(|call| play_call(call, context, &mut beats));
                    return beats;
                }
                step => play(step, context, &mut beats),
            }
        }
        if !beats.iter().any(|beat| matches!(beat, Beat::Open(_) | Beat::Cut | Beat::Hang)) {
            beats.extend(said("Done.", 0));
        }
        beats
    }

    /// The steps with every `!todo` turned into calls.
    fn expanded(&self, context: &Context) -> Vec<Step> {
        let has_todo_write = context.tools.iter().any(|tool| tool == "TodoWrite");
        let mut known = Vec::new();
        let mut steps = Vec::new();
        for step in &self.steps {
            match step {
                Step::Todo(wanted) => {
                    let batches = todo::calls(wanted, &mut known, context.tasks_before, has_todo_write);
                    steps.extend(batches.into_iter().map(Step::Tools));
                }
                step => steps.push(step.clone()),
            }
        }
        steps
    }
}

/// The steps behind the first `done` tool calls. A batch that was called in part is over too: an interrupt, or a failed
/// stream, may have cut it. `None`: everything was played.
fn after_tools(steps: &[Step], done: usize) -> Option<&[Step]> {
    let mut seen = 0;
    let mut rest = steps;
    while seen < done {
        let at = rest.iter().position(|step| matches!(step, Step::Tools(_)))?;
        if let Step::Tools(calls) = &rest[at] {
            seen += calls.len();
        }
        rest = &rest[at + 1..];
    }
    Some(rest)
}

/// The steps behind the first `cuts` cuts, or `rest` if that is further on.
fn after_cuts<'a>(steps: &'a [Step], rest: &'a [Step], cuts: usize) -> &'a [Step] {
    let mut behind =
        steps.iter().enumerate().filter(|(_, step)| **step == Step::Die).map(|(at, _)| &steps[at + 1..]);
    match cuts.checked_sub(1).and_then(|last| behind.nth(last)) {
        Some(behind) if behind.len() < rest.len() => behind,
        _ => rest,
    }
}

fn play(step: &Step, context: &Context, beats: &mut Vec<Beat>) {
    match step {
        Step::Text(text) => beats.extend(said(text, 0)),
        Step::EchoResult => {
            let results = context.last_results.join("\n");
            beats.extend(said(&format!("The result was:\n\n```\n{}\n```", results.trim_end()), 0));
        }
        Step::Stream { words: total, every } => {
            beats.push(Beat::Open(Block::Text));
            for index in 0..*total {
                beats.push(Beat::Delta(words::word(index, *total)));
                if !every.is_zero() {
                    beats.push(Beat::Pause(*every));
                }
            }
            beats.push(Beat::Close);
        }
        Step::Think(text) => {
            beats.push(Beat::Open(Block::Thinking));
            beats.extend(words::deltas(text).into_iter().map(Beat::Delta));
            beats.push(Beat::Close);
        }
        Step::Delay(pause) => beats.push(Beat::Pause(*pause)),
        Step::Gate(name) => beats.push(Beat::Gate(name.clone())),
        Step::Die => beats.push(Beat::Cut),
        Step::Hang => beats.push(Beat::Hang),
        Step::Usage { input, output } => beats.push(Beat::Usage { input: *input, output: *output }),
        Step::Tools(_) | Step::Todo(_) | Step::Error { .. } => {}
    }
}

/// A text block in deltas of a few words, with a pause of `every_ms` after each.
fn said(text: &str, every_ms: u64) -> Vec<Beat> {
    let mut beats = vec![Beat::Open(Block::Text)];
    for delta in words::deltas(text) {
        beats.push(Beat::Delta(delta));
        if every_ms > 0 {
            beats.push(Beat::Pause(Duration::from_millis(every_ms)));
        }
    }
    beats.push(Beat::Close);
    beats
}

fn play_call(call: &ToolCall, context: &Context, beats: &mut Vec<Beat>) {
    let mut input = call.input.clone();
    fill_in(&mut input, context);
    let text = input.to_string();
    beats.push(Beat::Open(Block::ToolUse(call.name.clone())));
    // Two deltas, so that nobody takes the first one for the whole input.
    let middle = (text.len() / 2..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (head, tail) = text.split_at(middle);
    beats.extend(
        [head, tail].into_iter().filter(|part| !part.is_empty()).map(|part| Beat::Delta(part.to_owned())),
    );
    beats.push(Beat::Close);
}

/// Puts what `$CWD` and `$PLAN_FILE` stand for into every string.
fn fill_in(value: &mut Value, context: &Context) {
    match value {
        Value::String(text) if text.contains('$') => {
            *value = json!(text.replace("$CWD", &context.cwd).replace("$PLAN_FILE", &context.plan_file));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| fill_in(value, context)),
        Value::Object(fields) => fields.values_mut().for_each(|value| fill_in(value, context)),
        _ => {}
    }
}
