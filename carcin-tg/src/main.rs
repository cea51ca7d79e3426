//! `carcin-tg`: the Telegram front end. Everything is in the library.

fn main() -> std::process::ExitCode {
    carcin_tg::main()
}
