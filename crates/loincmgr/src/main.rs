//! The `loincmgr` program; everything is in its library.
fn main() -> std::process::ExitCode {
    protogen_loincmgr::main()
}
