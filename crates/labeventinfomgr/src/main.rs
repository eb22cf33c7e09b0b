//! The `labeventinfomgr` program; everything is in its library.
fn main() -> std::process::ExitCode {
    protogen_labeventinfomgr::main()
}
