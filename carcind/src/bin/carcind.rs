//! The daemon's entry points.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let code = match arguments.as_slice() {
        [verb, dir] if verb == "child" => carcind::child::run_launcher(Path::new(dir)),
        [verb, dir] if verb == "child-ended" => match carcind::child::record_exit(Path::new(dir)) {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("carcind: cannot record how the child ended: {error}");
                1
            }
        },
        _ => 2,
    };
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
