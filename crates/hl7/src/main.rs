//! The `hl7` program; everything is in its library.
fn main() -> std::process::ExitCode {
    protogen_hl7::main()
}
