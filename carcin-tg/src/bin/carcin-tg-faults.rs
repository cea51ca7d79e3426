//! `carcin-tg` with fault points, for tests alone; see `carcin_tg::fault`.

fn main() -> std::process::ExitCode {
    carcin_tg::main()
}
