//! The `hl7tocv` program; everything is in its library.
fn main() -> std::process::ExitCode {
    protogen_hl7tocv::main()
}
