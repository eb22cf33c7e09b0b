//! The `carevue-sim` program.
fn main() -> std::process::ExitCode {
    protogen_carevue_sim::main()
}
