//! An MCP server with one tool, `elicit`, which asks the user and hands back what the user said.
//!
//! For the real `claude`, which starts it on stdio if its `.claude.json` says so ([`configuration`]). The scripted one
//! has the same tool built in. The tool's input is `message` and `requestedSchema`, or `message` and `url`.

use std::io::{BufRead, Write};
use std::path::Path;

use serde_json::{Value, json};

/// The version of the protocol in which asking by a link came.
const VERSION: &str = "2025-11-25";

/// What Claude Code reads about the server whose program is at `program`.
pub fn configuration(program: &Path) -> Value {
    json!({"mcpServers": {"lab": {"type": "stdio", "command": program, "args": []}}})
}

/// Answers requests, one line each, until there are no more.
pub fn serve(mut input: impl BufRead, mut output: impl Write) -> std::io::Result<()> {
    let mut line = String::new();
    while next(&mut input, &mut line)? {
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        let id = &message["id"];
        let answer = match message["method"].as_str() {
            Some("initialize") => json!({"protocolVersion": VERSION, "capabilities": {"tools": {}},
                "serverInfo": {"name": "lab", "version": "1"}}),
            Some("tools/list") => json!({"tools": [tool()]}),
            Some("tools/call") => {
                let said = elicit(&message["params"]["arguments"], &mut input, &mut output)?;
                json!({"content": [{"type": "text", "text": said.to_string()}]})
            }
            Some("ping") => json!({}),
            _ if id.is_null() => continue,
            _ => {
                let error = json!({"code": -32601, "message": "no such method"});
                tell(&mut output, &json!({"jsonrpc": "2.0", "id": id, "error": error}))?;
                continue;
            }
        };
        tell(&mut output, &json!({"jsonrpc": "2.0", "id": id, "result": answer}))?;
    }
    Ok(())
}

/// The user's answer, or why there is none.
fn elicit(asked: &Value, input: &mut impl BufRead, output: &mut impl Write) -> std::io::Result<Value> {
    let id = uuid::Uuid::new_v4().to_string();
    let params = if asked["url"].is_string() {
        json!({"mode": "url", "message": asked["message"], "url": asked["url"], "elicitationId": id})
    } else {
        json!({"mode": "form", "message": asked["message"], "requestedSchema": asked["requestedSchema"]})
    };
    tell(output, &json!({"jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": params}))?;
    let mut line = String::new();
    while next(input, &mut line)? {
        let Ok(answer) = serde_json::from_str::<Value>(&line) else { continue };
        if answer["id"] == id.as_str() {
            return Ok(if answer["error"].is_null() {
                answer["result"].clone()
            } else {
                answer["error"].clone()
            });
        }
    }
    Ok(json!({"action": "cancel"}))
}

fn tool() -> Value {
    json!({"name": "elicit", "description": "Asks the user.", "inputSchema": {"type": "object", "properties": {
        "message": {"type": "string"}, "requestedSchema": {"type": "object"}, "url": {"type": "string"}}}})
}

fn next(input: &mut impl BufRead, line: &mut String) -> std::io::Result<bool> {
    line.clear();
    Ok(input.read_line(line)? > 0)
}

fn tell(output: &mut impl Write, message: &Value) -> std::io::Result<()> {
    writeln!(output, "{message}")?;
    output.flush()
}
