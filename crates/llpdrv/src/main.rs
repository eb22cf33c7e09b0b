//! The `llpdrv` program; everything is in its library.
fn main() -> std::process::ExitCode {
    protogen_llpdrv::main()
}
