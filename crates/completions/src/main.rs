//! Writes the shell completions; everything is in its library.
fn main() -> std::process::ExitCode {
    protogen_completions::main()
}
