//! The lab's MCP server on stdin and stdout, see `carcin_lab::mcp`.

fn main() -> std::io::Result<()> {
    carcin_lab::mcp::serve(std::io::stdin().lock(), std::io::stdout().lock())
}
