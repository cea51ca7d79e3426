//! The telling argument of a tool use.

/// The telling argument (path, command, pattern, query, …) of a use of `tool`, from its raw JSON input: one
/// line, at most 400 characters; empty where there is none.
pub fn summary(tool: &str, input: &str) -> String {
    let _ = (tool, input);
    String::new()
}
