//! A scripted `claude`, for machines without the real one.

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let code = match runtime {
        Ok(runtime) => runtime.block_on(carcin_lab::scripted::run(std::env::args().skip(1))),
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            1
        }
    };
    // Not a return: the thread that reads stdin may be waiting for a line that never comes.
    std::process::exit(code);
}
