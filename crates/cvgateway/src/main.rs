//! The `cvgateway` program; everything is in its library.
fn main() -> std::process::ExitCode {
    protogen_cvgateway::main()
}
