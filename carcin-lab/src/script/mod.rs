//! The little language in which a prompt says what Claude shall do.
//!
//! A prompt carries its own script, so a test is reproducible and readable in one place. A line that begins with
//! `!` is a step; a line below `!text` or `!think` continues that text; any other line is a comment.
//!
//! ```text
//! !text Hello there              say this, as one text block
//! !stream 200 words 20ms         say generated words, one delta each, with that pause between them
//! !stream 2000 chars 20ms        the same, up to so many characters
//! !think about it                a thinking block
//! !tool Bash {"command":"ls"}    call a tool; the script goes on when its result is back
//! !tools A {…} && B {…}          call several at once
//! !ask Which? | Red | Blue       AskUserQuestion; a question of several choices begins with `+`
//! !form Who? {"name":"string"}   ask by an MCP server's form; the fields are a schema, or names and types of them
//! !link https://x.org Log in     ask by an MCP server to open a link
//! !plan First this, then that    write the plan file, then ExitPlanMode
//! !todo x done | > doing | open  the todo list now looks like this
//! !delay 500ms                   pause
//! !gate NAME                     wait until the test opens the gate
//! !error 529 overloaded_error 2  answer with this HTTP error, twice; without a count, always
//! !die                           cut the connection in mid-stream
//! !hang                          never say anything again
//! !usage in=1000 out=20          the token counts of this answer
//! !limit warning 90 five_hour    a notice of the plan's limit: `warning` or `rejected` (scripted `claude` only)
//! !see                           say which pictures came with the prompt
//! !echo-result                   say what the last tool results told Claude
//! !emit {"parts":["x\n"]}       print these bytes as they are (scripted `claude` only), see [`Emission`]
//! ```
//!
//! What an MCP server asks is a call of [`ELICIT`]: the scripted `claude` has that tool, the real one if it is told of
//! the lab's server ([`crate::mcp`]).
//!
//! A prompt without any step gets what [`demo`] has for it. In the arguments of a tool and in a `!text`, `$CWD` stands
//! for the session's working directory and `$PLAN_FILE` for its plan file.
//!
//! The same script is played by the Messages API stand-in ([`crate::model`]) and by the scripted `claude`
//! ([`crate::scripted`]). Where it stands follows from the conversation alone, see [`Script::answer`].

mod answer;
mod ask;
pub mod demo;
mod emit;
mod limit;
mod parse;
mod see;
mod todo;
pub mod wire;
mod words;

use std::time::Duration;

use serde_json::Value;

pub use answer::{Beat, Block, Context};
pub use ask::ELICIT;
pub use emit::{Emission, Part};
pub use limit::Limit;
pub use see::pictures;
pub use todo::{TodoItem, TodoStatus};

/// What one prompt, and what was added to it while it ran, makes Claude do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Script {
    /// In the order in which they are played.
    pub steps: Vec<Step>,
}

/// One thing that Claude does.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A text block.
    Text(String),
    /// A text block of so many generated words, one delta each, with this pause between them.
    Stream {
        /// How many words; the last one is cut where there is no room for it.
        words: usize,
        /// At most so many characters.
        chars: Option<usize>,
        /// The pause after each.
        every: Duration,
    },
    /// A thinking block.
    Think(String),
    /// These tools at once; an answer ends here with `tool_use`.
    Tools(Vec<ToolCall>),
    /// The todo list looks like this now; becomes calls of whichever todo tools the session has.
    Todo(Vec<TodoItem>),
    /// A pause.
    Delay(Duration),
    /// Wait until the gate of this name is opened; an open gate stays open.
    Gate(String),
    /// An HTTP error in place of an answer.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error's `type`.
        kind: String,
        /// How often, before the script goes on; `None` is always.
        times: Option<u32>,
    },
    /// The connection is cut in mid-stream.
    Die,
    /// Nothing more is ever said, the connection stays open.
    Hang,
    /// The token counts that this answer reports.
    Usage {
        /// `input_tokens`.
        input: u64,
        /// `output_tokens`; `None` counts what was said.
        output: Option<u64>,
    },
    /// A notice of the plan's limit.
    Limit(Limit),
    /// A text block about the pictures that came with the prompt.
    See,
    /// A text block with the content of the last tool results.
    EchoResult,
    /// These bytes, on stdout or stderr.
    Emit(Emission),
}

/// A call of one tool.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// The tool's name, for example `Bash`.
    pub name: String,
    /// Its input, an object.
    pub input: Value,
}

impl Script {
    /// Reads the script out of a prompt. A line that is wrong becomes a text saying what is wrong with it, and
    /// the rest is not played.
    pub fn of_prompt(prompt: &str) -> Self {
        match parse::steps(prompt) {
            Ok(Some(steps)) => Self { steps },
            Ok(None) => Self { steps: demo::steps(prompt) },
            Err(wrong) => Self { steps: vec![Step::Text(wrong.to_string())] },
        }
    }

    /// Adds what a message sent while Claude was working asks for.
    pub fn steer(&mut self, message: &str) {
        match parse::steps(message) {
            Ok(Some(steps)) => self.steps.extend(steps),
            Ok(None) => self.steps.push(Step::Text(format!("Meanwhile you said: “{}”.", message.trim()))),
            Err(wrong) => self.steps.push(Step::Text(wrong.to_string())),
        }
    }
}
